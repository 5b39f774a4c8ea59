//! Figures out of what was seen.

use crate::{
    account::{Calls, Second},
    scenario::Outcome,
};

/// Sorted, to be asked for its percentiles.
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }

    /// The value that this share of all does not exceed.
    pub(crate) fn at(&self, share: f64) -> Option<f64> {
        let last = self.0.len().checked_sub(1)?;
        self.0.get(position(share, last)).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is a count"
)]
fn position(share: f64, last: usize) -> usize {
    (share * last as f64).round() as usize
}

/// Traffic with one service.
pub(crate) struct Traffic {
    pub(crate) peak: u32,
    pub(crate) mean: f64,
    pub(crate) answered: f64,
    /// Of all calls that the service answered in any way.
    pub(crate) throttled: f64,
}

impl Traffic {
    pub(crate) fn of(seconds: &[Second], calls: fn(&Second) -> Calls) -> Self {
        let total = |part: fn(Calls) -> u32| -> f64 {
            seconds.iter().map(|second| f64::from(part(calls(second)))).sum()
        };
        let count = f64::from(u32::try_from(seconds.len()).unwrap_or(u32::MAX)).max(1.0);
        let (answered, throttled) = (total(|c| c.answered), total(|c| c.throttled));
        Self {
            peak: seconds.iter().map(|second| calls(second).all()).max().unwrap_or_default(),
            mean: total(Calls::all) / count,
            answered: answered / count,
            throttled: throttled / (answered + throttled).max(1.0),
        }
    }
}

/// One line for each run.
pub(crate) struct Row<'a> {
    pub(crate) title: &'static str,
    pub(crate) kms: Traffic,
    pub(crate) sts: Traffic,
    pub(crate) caught: Option<Sample>,
    pub(crate) given: Option<Sample>,
    pub(crate) left: usize,
    pub(crate) waited: Sample,
    pub(crate) ages: &'a Sample,
    pub(crate) mounts: u64,
    pub(crate) failed: u64,
    pub(crate) failed_first: u64,
    pub(crate) reasons: Vec<(String, u64)>,
    pub(crate) pods: usize,
}

impl<'a> Row<'a> {
    pub(crate) fn of(outcome: &'a Outcome) -> Self {
        let Outcome { scenario, seconds, seen, ages, pods, left } = outcome;
        let mut reasons: Vec<_> = seen.reasons.clone().into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons.truncate(4);
        Self {
            title: scenario.title,
            kms: Traffic::of(seconds, |second| second.kms),
            sts: Traffic::of(seconds, |second| second.sts),
            caught: scenario.recovers().then(|| Sample::of(seen.caught_after.clone())),
            given: scenario.recovers().then(|| Sample::of(seen.given_after.clone())),
            left: *left,
            waited: Sample::of(seen.waited.clone()),
            ages,
            mounts: seen.mounts,
            failed: seen.failed,
            failed_first: seen.failed_first,
            reasons,
            pods: *pods,
        }
    }
}
