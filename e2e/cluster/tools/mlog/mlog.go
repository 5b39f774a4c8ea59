// Package mlog stands in for the driver's logging helper, which the module
// registry does not serve: just the functions the driver calls, on klog.
package mlog

import (
	"context"
	"strconv"

	"k8s.io/klog/v2"
)

type Format string

const (
	FormatText Format = "text"
	FormatJSON Format = "json"
)

func Setup() func() { return klog.Flush }

func Fatal(err error) { klog.Fatal(err) }

func Error(msg string, err error) { klog.ErrorS(err, msg) }

func ValidateAndSetKlogLevelAndFormatGlobally(_ context.Context, level klog.Level, _ Format) error {
	return level.Set(strconv.Itoa(int(level)))
}
