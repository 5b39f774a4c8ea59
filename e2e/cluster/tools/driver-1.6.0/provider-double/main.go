// A provider that needs no cloud: it answers every mount with the same bytes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"maps"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"sigs.k8s.io/secrets-store-csi-driver/provider/v1alpha1"
)

type provider struct {
	v1alpha1.UnimplementedCSIDriverProviderServer
	mode string
	lock sync.Mutex
	seen map[string]bool
}

func (p *provider) Version(context.Context, *v1alpha1.VersionRequest) (*v1alpha1.VersionResponse, error) {
	return &v1alpha1.VersionResponse{Version: "v1alpha1", RuntimeName: "provider-double", RuntimeVersion: "0.0.0"}, nil
}

func (p *provider) Mount(_ context.Context, request *v1alpha1.MountRequest) (*v1alpha1.MountResponse, error) {
	attributes := map[string]string{}
	if err := json.Unmarshal([]byte(request.GetAttributes()), &attributes); err != nil {
		return nil, status.Error(codes.InvalidArgument, "attributes are not a JSON object of strings")
	}
	pod := attributes["csi.storage.k8s.io/pod.uid"]
	p.lock.Lock()
	first := !p.seen[pod]
	p.seen[pod] = true
	p.lock.Unlock()
	tokens := map[string]any{}
	if text := attributes["csi.storage.k8s.io/serviceAccount.tokens"]; text != "" {
		if err := json.Unmarshal([]byte(text), &tokens); err != nil {
			return nil, status.Error(codes.InvalidArgument, "the tokens are not a JSON object")
		}
	}
	audiences := slices.Sorted(maps.Keys(tokens))
	fail := first && p.mode == "deadline-exceeded-first"
	log.Printf("mount pod=%s uid=%s audiences=%s failed=%t", attributes["csi.storage.k8s.io/pod.name"], pod, strings.Join(audiences, ","), fail)
	if fail {
		return nil, status.Error(codes.DeadlineExceeded, "the first mount of a pod fails in this mode")
	}
	return &v1alpha1.MountResponse{
		ObjectVersion: []*v1alpha1.ObjectVersion{{Id: "constant", Version: "1"}},
		Files:         []*v1alpha1.File{{Path: "constant", Mode: 0o644, Contents: []byte("constant bytes\n")}},
	}, nil
}

func main() {
	socket := flag.String("socket", "", "where to listen")
	mode := flag.String("mode", "constant", "constant or deadline-exceeded-first")
	flag.Parse()
	log.SetFlags(log.LstdFlags | log.Lmicroseconds | log.LUTC)
	if err := os.Remove(*socket); err != nil && !os.IsNotExist(err) {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", *socket)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	v1alpha1.RegisterCSIDriverProviderServer(server, &provider{mode: *mode, seen: map[string]bool{}})
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		<-stopped.Done()
		server.GracefulStop()
	}()
	log.Printf("listening on %s, mode %s", *socket, *mode)
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
