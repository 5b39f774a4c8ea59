//! One mount, and whether what came of it may.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use provider::{
    error::{ErrorKind, Errors},
    fetch::{Origin, ReadOutcome, require_all},
    identity::resolve,
    project::{OutFile, project},
    request::{self, Mount},
};
use tokio::time::Instant;

use super::{
    World,
    cloud::{LONGEST_WAY_BACK, Who},
    cluster::{File, Plan},
};

/// A value that rotates by itself is believed for as many intervals.
const MANAGED_INTERVALS: u32 = 6;
const LONGEST_MESSAGE: usize = 900;

/// As the provider answers a mount: parse, choose, fetch, project.
pub async fn mount(world: Arc<World>, mut plan: Plan, limit: Duration) -> Result<(), String> {
    let begun = Instant::now();
    let told = |errors: Errors| errors.message();
    let asked = std::mem::take(&mut plan.request);
    let mount = request::parse(asked, &world.endpoints, &world.known, &mut Default::default())
        .map_err(told)?;
    let chosen = resolve(&mount, &world.policy, &world.service_accounts).await;
    let identity = match (chosen, plan.stolen) {
        (Ok(identity), false) => identity,
        (Err(_), true) => return Ok(()),
        (Ok(_), true) => return Err("another ServiceAccount's token did".to_owned()),
        (Err(errors), false) => return Err(told(errors)),
    };
    let interval = world.freshness.of(mount.spec.refresh);
    let check = Check::new(&world, &plan, begun, interval);
    let fetched = world.fetcher.fetch(&identity, &mount, interval, begun + limit).await;
    if begun.elapsed() > limit + Duration::from_millis(100) {
        return Err(format!("took {:?} of {limit:?}", begun.elapsed()));
    }
    let ends = match fetched {
        Ok(ends) => ends,
        Err(error) => {
            if refuses(error.kind()) {
                world.tally.refused.fetch_add(1, Relaxed);
                plan.files.iter().for_each(|file| check.refused(file, Instant::now()));
            }
            return check.message(&error.into());
        }
    };
    if interval.is_zero() && ends.iter().any(|end| end.origin == Origin::Memory) {
        return Err("from memory with an interval of 0".to_owned());
    }
    for end in ends.iter().filter(|end| is_stale(end)) {
        let outage = end.error.as_ref().is_some_and(|error| error.kind() == ErrorKind::Internal);
        if world.grace.is_zero() || !outage {
            return Err(format!(
                "served stale, with {:?} of grace, for {:?}",
                world.grace, end.error
            ));
        }
    }
    for (file, end) in plan.files.iter().zip(&ends) {
        if end.error.as_ref().is_some_and(|error| refuses(error.kind())) {
            world.tally.refused.fetch_add(1, Relaxed);
            // Another mount may have asked for it, and before this one began.
            check.refused(file, begun);
        }
    }
    match require_all(&mount.spec.objects, &ends) {
        Ok(values) => {
            let memory = ends.iter().all(|end| end.origin == Origin::Memory);
            world.tally.from_memory.fetch_add(memory.into(), Relaxed);
            let grace = ends.iter().any(is_stale);
            world.tally.from_grace.fetch_add(grace.into(), Relaxed);
            let projected = project(&mount.spec.objects, &values).map_err(told)?;
            check.files(&mount, &projected.files, &ends)
        }
        Err(errors) => check.message(&errors),
    }
}

/// Whether the cloud said no.
fn refuses(class: ErrorKind) -> bool {
    matches!(class, ErrorKind::Denied | ErrorKind::Unauthenticated | ErrorKind::NotFound)
}

fn is_stale(end: &ReadOutcome) -> bool {
    matches!(end.origin, Origin::Grace(_) | Origin::Stale(_))
}

struct Check<'a> {
    world: &'a World,
    plan: &'a Plan,
    begun: Instant,
    interval: Duration,
    /// When each file's object had last been refused.
    refused: Vec<Option<Instant>>,
}

impl<'a> Check<'a> {
    fn new(world: &'a World, plan: &'a Plan, begun: Instant, interval: Duration) -> Self {
        let refused = world.cloud.heard(|heard| {
            let of = |file: &File| heard.refused.get(&world.cloud.asked(&file.who, &file.object));
            plan.files.iter().map(|file| of(file).copied()).collect()
        });
        Self { world, plan, begun, interval, refused }
    }

    /// What was on its way here already may still come.
    fn refused(&self, file: &File, at: Instant) {
        let (asked, at) = (self.asked(file), at - LONGEST_WAY_BACK);
        self.world.cloud.heard(|heard| {
            let last = heard.refused.entry(asked).or_insert(at);
            *last = at.max(*last);
        });
    }

    fn asked(&self, file: &File) -> super::cloud::Asked {
        self.world.cloud.asked(&file.who, &file.object)
    }

    fn message(&self, errors: &Errors) -> Result<(), String> {
        self.world.tally.failed.fetch_add(1, Relaxed);
        let message = errors.message();
        let bad = message.len() > LONGEST_MESSAGE
            || ["secret of", "token of", "~"].iter().any(|part| message.contains(part));
        if bad { Err(format!("told: {message}")) } else { Ok(()) }
    }

    fn files(&self, mount: &Mount, files: &[OutFile], ends: &[ReadOutcome]) -> Result<(), String> {
        self.world.tally.delivered.fetch_add(1, Relaxed);
        let mut left = files.len();
        for ((file, refused), end) in self.plan.files.iter().zip(&self.refused).zip(ends) {
            let grace = if is_stale(end) { self.world.grace } else { Duration::ZERO };
            match files.iter().find(|found| found.path.as_str() == file.path) {
                Some(found) => {
                    left -= 1;
                    let text = std::str::from_utf8(found.bytes.expose()).unwrap();
                    let held = self.value(file, *refused, text, grace);
                    held.map_err(|what| self.about(file, &what))?;
                }
                None => self.left_out(file, grace).map_err(|what| self.about(file, &what))?,
            }
        }
        match left {
            0 => Ok(()),
            _ => Err(format!("{left} files that {} did not ask for", mount.pod)),
        }
    }

    fn value(
        &self,
        file: &File,
        refused: Option<Instant>,
        text: &str,
        grace: Duration,
    ) -> Result<(), String> {
        let [rights, token, object, told, rotates, _] = *text.split('\n').collect::<Vec<_>>()
        else {
            return Err(format!("not a value of this cloud: {text}"));
        };
        let got = Who { rights: rights.to_owned(), token: token.to_owned() };
        if !self.world.cluster.is_one(&file.who, &got, !grace.is_zero()) {
            return Err(format!("was told to {got:?}"));
        }
        if object != file.object {
            return Err(format!("is another object's: {object}"));
        }
        let told = self.world.cloud.at(told.parse().unwrap());
        let believed = match rotates.parse().unwrap() {
            0 => self.interval,
            rotates => (self.interval * MANAGED_INTERVALS).min(Duration::from_secs(rotates)),
        };
        self.fresh(told, believed.max(grace))?;
        match refused {
            Some(refused) if told < refused => {
                Err(format!("{:?} old, refused {:?} ago", told.elapsed(), refused.elapsed()))
            }
            _ => Ok(()),
        }
    }

    fn left_out(&self, file: &File, grace: Duration) -> Result<(), String> {
        self.world.tally.left_out.fetch_add(1, Relaxed);
        let asked = self.asked(file);
        match self.world.cloud.heard(|heard| heard.missing.get(&asked).copied()) {
            Some(told) if file.optional => self.fresh(told, self.interval.max(grace)),
            _ => Err("is left out though nobody said that it is missing".to_owned()),
        }
    }

    /// A mount may join a read of another whose answer is on its way.
    fn fresh(&self, told: Instant, believed: Duration) -> Result<(), String> {
        match self.begun.saturating_duration_since(told) {
            age if age <= believed + LONGEST_WAY_BACK => Ok(()),
            age => Err(format!("was {age:?} old when the mount began, of {believed:?}")),
        }
    }

    fn about(&self, file: &File, what: &str) -> String {
        format!("{} {} of {:?}: {what}", file.path, file.object, file.who)
    }
}
