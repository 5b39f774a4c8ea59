//! The pipeline: request -> identity -> credentials -> fetch -> project -> response. It calls the steps in
//! order and decides nothing; memory and turns are had before the step that needs them.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Provider, observe::Observed, trace::Trace};
use crate::{
    error::Errors,
    fetch::{Origin, require_all},
    identity, offload, pb,
    project::{self, Projection, project},
    request::{self, Mount, caller::Caller},
    response::respond,
    server::RequestRoom,
    spc::objects::Object,
    turns::Turn,
};

/// How long a large request waits for room to be parsed into.
const UNPARSED: Duration = Duration::from_secs(2);

impl Provider {
    /// Step 1, and the memory that the list of objects holds.
    pub(super) async fn parse(
        &self,
        request: pb::MountRequest,
        deadline: Instant,
        of_request: Option<RequestRoom>,
        observed: &mut Observed<'_>,
    ) -> Result<(Mount, Option<Turn>), Errors> {
        let bytes = request.attributes.len();
        // Read twice only where somebody may have to wait.
        let large = offload::is_large(bytes);
        let namespace = if large { request::namespace(&request) } else { String::new() };
        // A large request keeps others from being read.
        let soon = deadline.min(Instant::now() + UNPARSED);
        let until = if of_request.is_some() { soon } else { deadline };
        let mut of_objects = self.memory.objects(&namespace, bytes, until).await?;
        let mut caller = Caller::default();
        let parse = || request::parse(request, &self.endpoints, &self.objects, &mut caller);
        let place = self.offload.acquire(&namespace, bytes, deadline).await?;
        let parsed = offload::run(place.as_ref(), parse);
        drop((place, of_request));
        observed.caller(caller);
        let mount = parsed?;
        if let Some(turn) = &mut of_objects {
            turn.keep(mount.spec.objects.iter().map(Object::memory).sum());
        }
        Ok((mount, of_objects))
    }

    /// Steps 2 to 6, and the memory that the answer holds.
    pub(super) async fn respond(
        &self,
        mount: (Mount, Option<Turn>),
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<(pb::MountResponse, Option<Turn>), Errors> {
        let (projection, room) = self.serve(mount, deadline, trace).await?;
        Ok((respond(projection)?, room))
    }

    /// Steps 2 to 5: the files, and the memory that they hold.
    pub(super) async fn serve(
        &self,
        (mount, of_objects): (Mount, Option<Turn>),
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<(Projection, Option<Turn>), Errors> {
        let namespace = &*mount.pod.namespace;
        trace.parsed(&mount);
        let identity = identity::resolve(&mount, &self.policy, &self.service_accounts).await?;
        let identity = Arc::new(identity);
        trace.identity(identity.clone());
        let kept = || self.fetcher.keeps(&identity, &mount.spec.objects);
        let reads = reads(&mount.spec.objects);
        let mut of_values = self.memory.values(namespace, reads, kept, deadline).await?;
        let interval = self.freshness.of(mount.spec.refresh);
        let ends = self.fetcher.fetch(&identity, &mount, interval, deadline).await;
        let mut ends = ends.map_err(|error| identity.named_in(error))?;
        for end in &mut ends {
            end.error = end.error.take().map(|error| identity.named_in(error));
        }
        trace.read(&ends);
        let values = require_all(&mount.spec.objects, &ends)?;
        trace.from = Origin::of(&ends);
        if let Some(turn) = &mut of_values {
            turn.keep(project::held(&values));
        }
        let bytes = project::to_search(&mount.spec.objects, &values);
        let place = self.offload.acquire(namespace, bytes, deadline).await?;
        // Nobody knows how much a search will find: its place is kept until that has room too.
        let copied =
            if place.is_none() { project::to_copy(&mount.spec.objects, &values) } else { 0 };
        let room = self.memory.answer(namespace, copied, deadline).await?;
        let work = || project(&mount.spec.objects, &values);
        let projection = offload::run(place.as_ref(), work)?;
        let found = if place.is_some() { projection.bytes() } else { 0 };
        let room = room.or(self.memory.answer(namespace, found, deadline).await?);
        drop(place);
        drop((values, of_values, of_objects));
        trace.left_out = projection.left_out;
        Ok((projection, room))
    }
}

/// How many values the mount fetches.
fn reads(objects: &[Object]) -> usize {
    objects.iter().map(|object| object.read.digest()).collect::<HashSet<_>>().len()
}
