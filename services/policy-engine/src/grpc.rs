//! `fluxgate.policy.v1.PolicyService`.

use std::cmp::Reverse;
use std::sync::Arc;

use bus::{Area, Fact, ViewError, subject};
use domain::Decision;
use domain::trace::TraceId;
use hub::grpc::{invalid, not_found, unavailable};
use hub::names::ReleaseName;
use hub::page::page;
use tonic::{Request, Response, Status};
use wire::policy::v1;
use wire::policy::v1::policy_service_server::{PolicyService, PolicyServiceServer};

use crate::Engine;
use crate::statements::Decided;

/// The service for a host.
pub(crate) fn server(engine: Arc<Engine>) -> PolicyServiceServer<Api> {
    PolicyServiceServer::new(Api(engine))
}

/// The inbound adapter.
#[derive(Debug)]
pub(crate) struct Api(Arc<Engine>);

impl Api {
    /// The newest decision of each series, newest first, of those that are wanted.
    async fn newest(&self, wanted: Option<&ReleaseName>) -> Result<Vec<v1::DecisionView>, ViewError> {
        let all = self.0.statements.decisions.of(&self.0.hub.view).await?;
        let named =
            |decided: &&Arc<Decided>| wanted.is_none_or(|wanted| wanted.names(&decided.decision.release));
        let mut all: Vec<_> = all.iter().filter(named).collect();
        all.sort_by_key(|decided| Reverse(decided.fact.sequence));
        let view = |decided: &Arc<Decided>| {
            let Decided { fact, decision } = decided.as_ref();
            v1::DecisionView {
                name: format!("decisions/{}", subject::decision_id(&fact.subject)),
                subject: fact.subject.to_string(),
                sequence: fact.sequence,
                trace_id: TraceId::of_release(&decision.release).to_string(),
                decision: Some(v1::Decision::from(decision)),
            }
        };
        Ok(all.into_iter().map(view).collect())
    }

    /// A decision by name. Earlier decisions of a series keep their names.
    async fn decision(&self, name: &str) -> Result<(Fact, Decision), Box<Status>> {
        if !name.starts_with("decisions/") {
            return Err(invalid("name", "is not like decisions/0123456789abcdef"));
        }
        let facts = self.0.hub.view.all_of(Area::Policy, "decision").await;
        let found = facts
            .map_err(|error| unavailable(&error))?
            .into_iter()
            .find(|fact| name == format!("decisions/{}", subject::decision_id(&fact.subject)));
        let decision = found.and_then(|fact| {
            let decision: Decision = wire::decode::<v1::Decision, _>(&fact.statement).ok()?;
            Some((fact, decision))
        });
        decision.ok_or_else(|| not_found(name))
    }
}

#[tonic::async_trait]
impl PolicyService for Api {
    async fn list_decisions(
        &self,
        request: Request<v1::ListDecisionsRequest>,
    ) -> Result<Response<v1::ListDecisionsResponse>, Status> {
        let request = request.into_inner();
        let wanted = match request.release.as_str() {
            "" => None,
            text => Some(
                ReleaseName::parse(text)
                    .ok_or_else(|| *invalid("release", "is not like releases/flux/v2.9.4"))?,
            ),
        };
        let views = self
            .newest(wanted.as_ref())
            .await
            .map_err(|error| *unavailable(&error))?;
        let paged = page(
            views,
            request.page_size,
            &request.page_token,
            |view: &v1::DecisionView| view.name.clone(),
        );
        let (decisions, next_page_token) = paged.map_err(|status| *status)?;
        Ok(Response::new(v1::ListDecisionsResponse {
            decisions,
            next_page_token,
        }))
    }

    async fn get_decision(
        &self,
        request: Request<v1::GetDecisionRequest>,
    ) -> Result<Response<v1::DecisionView>, Status> {
        let name = request.into_inner().name;
        let (fact, decision) = self.decision(&name).await.map_err(|status| *status)?;
        Ok(Response::new(v1::DecisionView {
            name,
            subject: fact.subject.to_string(),
            sequence: fact.sequence,
            trace_id: TraceId::of_release(&decision.release).to_string(),
            decision: Some(v1::Decision::from(&decision)),
        }))
    }

    async fn get_decision_inputs(
        &self,
        request: Request<v1::GetDecisionInputsRequest>,
    ) -> Result<Response<v1::DecisionInputs>, Status> {
        let name = request.into_inner().name;
        let (fact, decision) = self.decision(&name).await.map_err(|status| *status)?;
        let stored = self.0.hub.blobs.get(decision.inputs).await;
        let Some(document) = stored.map_err(|error| *unavailable(&error))? else {
            return Err(*not_found(&format!(
                "inputs {} of {name} on the bus",
                decision.inputs
            )));
        };
        Ok(Response::new(v1::DecisionInputs {
            name,
            digest: Some(decision.inputs.into()),
            document,
            envelope: fact.envelope.to_vec(),
        }))
    }

    async fn list_policies(
        &self,
        request: Request<v1::ListPoliciesRequest>,
    ) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        let request = request.into_inner();
        let in_force = self.0.in_force().await.map_err(|error| *unavailable(&error))?;
        let texts = in_force
            .iter()
            .map(|found| v1::PolicyText {
                policy: found.policy.id.name.clone(),
                digest: Some(found.policy.id.digest.into()),
                text: found.text.clone(),
            })
            .collect();
        let paged = page(
            texts,
            request.page_size,
            &request.page_token,
            |text: &v1::PolicyText| text.policy.clone(),
        );
        let (policies, next_page_token) = paged.map_err(|status| *status)?;
        Ok(Response::new(v1::ListPoliciesResponse {
            policies,
            next_page_token,
        }))
    }
}
