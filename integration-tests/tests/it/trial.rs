//! How a trial runs: its own runtime and lab, and what is left where it fails.

use std::any::Any;
use std::cmp::Reverse;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use integration_tests::lab::Lab;
use integration_tests::lab::progress::{Silent, StderrLines};
use integration_tests::lab::tools::{Tool, Tools};
use libtest_mimic::{Failed, Trial};

/// A trial on a lab of its own. It fails by an error or by a panic.
pub(crate) fn trial<F>(name: &str, body: impl FnOnce(Lab) -> F + Send + 'static) -> Trial
where
    F: Future<Output = anyhow::Result<()>>,
{
    let own = name.to_owned();
    Trial::test(name, move || {
        let begun = Instant::now();
        let ended = on_a_lab(body);
        TOOK.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((begun.elapsed(), own));
        ended
    })
}

/// How long each trial on a lab took.
static TOOK: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

/// Tells which trials took longest, where many were run.
pub(crate) fn tell_the_longest() {
    const TOLD: usize = 10;
    let mut took = TOOK.lock().unwrap_or_else(PoisonError::into_inner);
    if took.len() <= TOLD {
        return;
    }
    took.sort_by_key(|(time, _)| Reverse(*time));
    eprintln!("The longest trials:");
    for (time, name) in took.iter().take(TOLD) {
        eprintln!("  {:>4.0} s  {name}", time.as_secs_f64());
    }
}

/// A trial that takes no parts.
pub(crate) fn plain(name: &str, body: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || body().map_err(|error| format!("{error:#}").into()))
}

fn on_a_lab<F>(body: impl FnOnce(Lab) -> F) -> Result<(), Failed>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let runtime = tokio::runtime::Runtime::new()?;
    tell_what_is_built();
    let lab = runtime.block_on(Lab::start_with(Arc::new(Silent), &Tool::ALL))?;
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(Box::pin(body(lab.clone())))));
    let why = match played {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(panic) => Some(said(panic.as_ref())),
    };
    // Parts are awaited by what is dropped above; a resolver's thread must not hold the trial.
    runtime.shutdown_background();
    match why {
        None => Ok(()),
        Some(why) => {
            lab.keep_logs();
            Err(format!("{why}\nlogs are kept in {}", lab.folder().display()).into())
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panicked".to_owned())
}

/// Labs are quiet, but the building of their parts, which may take minutes, is not. A failure is told by the lab.
fn tell_what_is_built() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| drop(Tools::ensure(&Tool::ALL, &StderrLines)));
}

/// A trial over real data. Where that is absent the trial is listed as ignored, loudly; with
/// `FLUXGATE_REQUIRE_TEST_DATA=1` it fails.
pub(crate) fn over_data<F>(
    name: &str,
    needs: &str,
    body: impl FnOnce(Lab, PathBuf) -> F + Send + 'static,
) -> Trial
where
    F: Future<Output = anyhow::Result<()>>,
{
    let path = data().join(needs);
    if path.exists() {
        return trial(name, move |lab| body(lab, path));
    }
    let missing = format!("no test data at {}", path.display());
    if std::env::var_os("FLUXGATE_REQUIRE_TEST_DATA").is_some_and(|value| value == "1") {
        return plain(name, move || Err(anyhow::anyhow!("{missing}")));
    }
    eprintln!("IGNORED {name}: {missing}; set FLUXGATE_TEST_DATA");
    plain(name, || Ok(())).with_ignored_flag(true)
}

fn data() -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    std::env::var_os("FLUXGATE_TEST_DATA").map_or_else(beside, PathBuf::from)
}
