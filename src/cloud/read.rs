//! Reads: the call for each type of source, alone or with others of its type.

use super::{Cause, Cloud, Failure, ReadOptions};
use crate::{
    spc::source::{Facts, Source},
    value::Value,
};

/// What an answer says of one of several sources.
#[derive(Debug)]
pub enum Part {
    Value(Value),
    /// It is listed as one that cannot be given.
    Refused,
    /// Not in the answer, or without its value: nothing is said of it.
    Absent,
}

impl Cloud {
    pub async fn read_one(
        &self,
        options: &ReadOptions<'_>,
        source: &Source,
    ) -> Result<Value, Failure> {
        match source {
            Source::Kms(secret) => self.get_secret_value(options, secret).await,
            Source::Oos(parameter) => self.get_secret_parameter(options, parameter).await,
        }
    }

    /// Sources that one call can read together (`plan.rs`), in their order.
    pub async fn read_batch(
        &self,
        options: &ReadOptions<'_>,
        sources: &[&Source],
    ) -> Result<Vec<Part>, Failure> {
        let (mut secrets, mut parameters) = (Vec::new(), Vec::new());
        for source in sources {
            match source {
                Source::Kms(secret) => secrets.push(secret),
                Source::Oos(parameter) => parameters.push(parameter),
            }
        }
        match (&*secrets, &*parameters) {
            (secrets, []) => {
                let values = self.batch_get_secret_value(options, secrets).await?;
                Ok(values
                    .into_iter()
                    .map(|value| value.map_or(Part::Absent, Part::Value))
                    .collect())
            }
            ([], [first, ..]) => {
                let names: Vec<&str> = parameters.iter().map(|one| &*one.name).collect();
                self.get_secret_parameters(options, &first.region, &names).await
            }
            ([first, ..], [_, ..]) => {
                Err(Failure::new(first.api(), options.endpoint, Cause::Unsendable))
            }
        }
    }
}

#[cfg(test)]
mod tests;
