//! The three pictures of docs/performance.md.

use crate::{
    chart::{Chart, Series},
    figures::Variant,
    hours,
    latency::Size,
    load::{Load, count, millis},
    naive::MOUNTS_PER_SECOND,
    throughput::Throughput,
};

/// A file's name, what it shows, and its SVG.
pub(crate) type Picture = (&'static str, &'static str, String);

pub(crate) struct Curves<'a> {
    pub(crate) sizes: &'a [Size],
    pub(crate) kept: &'a Throughput,
    pub(crate) fetched: &'a Throughput,
    pub(crate) hours: &'a [Variant],
}

impl Curves<'_> {
    pub(crate) fn draw(&self) -> Vec<Picture> {
        vec![
            ("latency", "Time of a mount over its objects", self.latency()),
            ("throughput", "Mounts a second over mounts in flight", self.throughput()),
            ("calls", "Cloud calls of a node in an hour over its pods", self.calls()),
        ]
    }

    fn latency(&self) -> String {
        let of = |name, time: fn(&Size) -> _| {
            let points = self.sizes.iter().map(|size| (count(size.objects), millis(time(size))));
            Series::new(name, points)
        };
        Chart {
            title: "Time of a mount over its objects, warm, all fetched",
            x: "objects",
            y: "median, ms",
            x_marks: &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0],
            series: vec![
                of("naive", |size| size.naive),
                of("this provider", |size| size.ours),
                of("raw, all at once", |size| size.raw),
            ],
        }
        .svg()
    }

    fn throughput(&self) -> String {
        let of = |name, way: &Throughput| {
            let rate = |(level, load): (usize, &Load)| (count(level), load.per_second());
            Series::new(name, way.levels().map(rate))
        };
        let most = f64::from(MOUNTS_PER_SECOND);
        Chart {
            title: "Mounts a second over mounts in flight",
            x: "mounts in flight",
            y: "mounts a second",
            x_marks: &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0],
            series: vec![
                of("3 objects, memory", self.kept),
                of("1 object, fetched", self.fetched),
                Series::new("naive, at most", [(1.0, most), (128.0, most)]),
            ],
        }
        .svg()
    }

    fn calls(&self) -> String {
        let naive = self.hours.iter().take(1).flat_map(|variant| &variant.hours);
        let naive = naive.map(|(pods, hour)| (count(*pods), hours::naive(*hour) as f64));
        let ours = self.hours.iter().map(|variant| {
            let hours = variant.hours.iter();
            Series::new(variant.name, hours.map(|(pods, hour)| (count(*pods), hour.calls as f64)))
        });
        Chart {
            title: "Cloud calls of a node in an hour over its pods, 3 unchanged objects each",
            x: "pods",
            y: "calls in an hour",
            x_marks: &[1.0, 3.0, 10.0, 30.0, 110.0],
            series: [Series::new("naive", naive)].into_iter().chain(ours).collect(),
        }
        .svg()
    }
}
