//! `policy replay`.

use policy_engine::replay::{Difference, Replayed};
use serde_json::json;
use wire::policy::v1::GetDecisionInputsRequest;

use super::{PolicyError, read};
use crate::cli::{Format, ReplayArgs};
use crate::client::failed;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Sign;
use crate::table::Table;

/// A decision as it was signed, with what it rests on.
struct Signed {
    from: String,
    inputs: Vec<u8>,
    envelope: Vec<u8>,
}

pub(super) async fn run(args: &ReplayArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let signed = match (&args.inputs, &args.decision) {
        (Some(inputs), Some(decision)) => Signed {
            from: decision.display().to_string(),
            inputs: read(inputs)?,
            envelope: read(decision)?,
        },
        _ => fetch(args.name.as_deref().unwrap_or_default(), context).await?,
    };
    let replayed = policy_engine::replay::replay(&signed.inputs, &signed.envelope);
    let replayed = replayed.map_err(|source| PolicyError::Replay {
        from: signed.from.clone(),
        source: Box::new(source),
    })?;
    show(&signed.from, &replayed, context)?;
    Ok(if replayed.differences.is_empty() {
        Exit::Done
    } else {
        Exit::No
    })
}

async fn fetch(name: &str, context: &Context<'_>) -> Result<Signed, Failure> {
    let name = named(name);
    let request = GetDecisionInputsRequest { name: name.clone() };
    let found = context
        .connect()
        .await?
        .policies()
        .get_decision_inputs(request)
        .await;
    let found = found
        .map_err(failed(format!("getting the inputs of {name}")))?
        .into_inner();
    Ok(Signed {
        from: name,
        inputs: found.document,
        envelope: found.envelope,
    })
}

/// The name of a decision, also where its id alone was typed.
pub(super) fn named(text: &str) -> String {
    let id = text.rsplit('/').next().unwrap_or(text);
    format!("decisions/{id}")
}

fn show(from: &str, replayed: &Replayed, context: &Context<'_>) -> Result<(), Failure> {
    let screen = context.screen;
    let same = replayed.differences.is_empty();
    let answer = if same { "SAME" } else { "DIFFERENT" };
    let decision = &replayed.decision;
    if screen.format() == Format::Json {
        let difference = |d: &Difference| json!({"path": d.path, "signed": d.signed, "replayed": d.replayed});
        return screen.json(&json!({
            "decision": from,
            "result": answer,
            "outcome": decision.outcome.to_string(),
            "subject": replayed.subject,
            "inputs": decision.inputs,
            "differences": replayed.differences.iter().map(difference).collect::<Vec<_>>(),
        }));
    }
    screen.data(&format!(
        "{answer}  {from}: {} {} for {} by policy {}",
        decision.outcome, decision.release, decision.baseline, decision.policy.name
    ));
    if same {
        let text = "the signed payload follows from the stored inputs, byte for byte";
        screen.hint(Sign::Good, text);
        return Ok(());
    }
    let mut table = Table::new(&["FIELD", "SIGNED", "FROM THE INPUTS"]);
    for difference in &replayed.differences {
        let shown = |text: &str| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text.to_owned()
            }
        };
        table.row([
            difference.path.clone(),
            shown(&difference.signed),
            shown(&difference.replayed),
        ]);
    }
    screen.data(&table.render(screen.header(), ""));
    screen.hint(
        Sign::Bad,
        "what was signed does not follow from these inputs: other inputs, another version of fluxgate, or a \
         decision that nobody should act upon",
    );
    Ok(())
}
