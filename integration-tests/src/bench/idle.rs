//! Each service in a process of its own, with nothing to do: how soon it is ready, and what it holds.

use std::time::{Duration, Instant};

use super::agents::Simulated;
use super::fleet::write_fleet;
use super::{BenchError, memory, milliseconds, own_memory};
use crate::lab::Lab;
use crate::stage::{Service, Stage};

/// How long a service is left alone before it is looked at.
const REST: Duration = Duration::from_secs(10);

pub(super) async fn run(lab: &Lab, write: fn(&str)) -> Result<(), BenchError> {
    let stage = Stage::build(lab, &[]).await?;
    // One cluster that never speaks: a strategy needs waves, and a wave clusters.
    write_fleet(&stage, &[Simulated::new("silent")?])?;
    let mut hub = stage.start_hub_apart(&Service::ALL).await?;
    let mut ready = Vec::new();
    for service in Service::ALL {
        hub.kill_service(service).await?;
        let begun = Instant::now();
        hub.restart(service).await?;
        ready.push(begun.elapsed());
    }
    tokio::time::sleep(REST).await;
    for (service, ready) in Service::ALL.into_iter().zip(ready) {
        let megabytes = |of: fn(u32) -> Option<f64>| {
            let held = hub.process_id(service).and_then(of);
            held.map_or_else(|| "not known".to_owned(), |held| format!("{held:.1} MB"))
        };
        write(&format!(
            "  {:<20} ready in {:>10}   holds {}, of which {} are its own and the rest the program's file",
            service.name(),
            milliseconds(ready),
            megabytes(memory),
            megabytes(own_memory)
        ));
    }
    Ok(())
}
