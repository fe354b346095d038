//! `policy eval`.

use domain::Outcome;
use policy::load::{Document, LoadError};
use policy::{Evaluation, Policy, StoredInputs};
use serde_json::json;
use wire::policy::v1::GetDecisionInputsRequest;

use super::replay::named;
use super::{PolicyError, read, read_text};
use crate::cli::{EvalArgs, Format};
use crate::client::failed;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Sign;
use crate::table::Table;

pub(super) async fn run(args: &EvalArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let text = read_text(&args.policy)?;
    let name = args.policy.display().to_string();
    let document = Document::new(&name, &text);
    let policy = Policy::read(&document).map_err(|findings| {
        PolicyError::Load(LoadError {
            // The error is told in lines of its own.
            excerpt: "".into(),
            ..document.first(findings)
        })
    })?;
    let (from, bytes) = match &args.inputs {
        Some(file) => (file.display().to_string(), read(file)?),
        None => fetch(args.decision.as_deref().unwrap_or_default(), context).await?,
    };
    let inputs = StoredInputs::parse(&bytes).map_err(|source| PolicyError::Inputs { from, source })?;
    let now = args.at.unwrap_or(inputs.now);
    let evaluation = inputs.evaluate_by(&policy, now);
    show(&inputs, &policy, now, &evaluation, context)?;
    Ok(match evaluation.outcome {
        Outcome::Allow => Exit::Done,
        Outcome::Deny => Exit::No,
        Outcome::Wait | Outcome::NeedsApproval => Exit::Pending,
    })
}

async fn fetch(name: &str, context: &Context<'_>) -> Result<(String, Vec<u8>), Failure> {
    let name = named(name);
    let request = GetDecisionInputsRequest { name: name.clone() };
    let found = context
        .connect()
        .await?
        .policies()
        .get_decision_inputs(request)
        .await;
    let found = found.map_err(failed(format!("getting the inputs of {name}")))?;
    Ok((name, found.into_inner().document))
}

fn show(
    inputs: &StoredInputs,
    policy: &Policy,
    now: jiff::Timestamp,
    evaluation: &Evaluation,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let screen = context.screen;
    let until = evaluation.wait_until.or(evaluation.valid_until);
    if screen.format() == Format::Json {
        let rule = |rule: &domain::RuleResult| {
            json!({"rule": rule.rule, "outcome": rule.outcome.to_string(), "reason": rule.reason.code(),
                "detail": rule.detail, "until": rule.until})
        };
        return screen.json(&json!({
            "policy": policy.id.name,
            "release": inputs.release.to_string(),
            "baseline": inputs.baseline.value.key().to_string(),
            "at": now,
            "outcome": evaluation.outcome.to_string(),
            "until": until,
            "rules": evaluation.rules.iter().map(rule).collect::<Vec<_>>(),
        }));
    }
    let mut table = Table::new(&["RULE", "OUTCOME", "REASON", "DETAIL"]);
    for rule in &evaluation.rules {
        table.row([
            rule.rule.clone(),
            rule.outcome.to_string(),
            rule.reason.code().to_owned(),
            rule.detail.replace('\n', "; "),
        ]);
    }
    let until = until.map(|until| format!(", until {until}")).unwrap_or_default();
    screen.data(&format!(
        "{}  {} for {} by policy {} at {now}{until}\n",
        evaluation.outcome,
        inputs.release,
        inputs.baseline.value.key(),
        policy.id.name
    ));
    screen.data(&table.render(screen.header(), ""));
    screen.hint(
        Sign::Begin,
        "nothing was decided: this is what the policy would say",
    );
    Ok(())
}
