//! Folding steps as a controller does, with a check at each of what must never happen.

use domain::assignment::StatementRef;
use domain::rollout::WaveOpened;

use super::*;

impl Lab {
    /// Plans and folds until nothing is left to do; returns all steps. A step that were planned again after
    /// it was folded would never end this.
    pub(super) fn settle(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..60 {
            let plan = self.plan();
            if plan.steps.is_empty() {
                let active = self
                    .rollout
                    .as_ref()
                    .is_some_and(|rollout| rollout.finished.is_none());
                assert!(
                    !active || !plan.waits.is_empty(),
                    "an active rollout that does nothing says why"
                );
                return steps;
            }
            for step in plan.steps {
                self.fold(&step);
                steps.push(step);
            }
        }
        panic!("never settles: {:?}", steps.last());
    }

    pub(super) fn fold(&mut self, step: &Step) {
        match step {
            Step::Start(started) => {
                assert!(self.ledger_ok);
                let version = &started.rollout.version;
                assert!(!self.stopped("fleet") && !self.stopped(&format!("version/{version}")));
                assert!(
                    self.rollout
                        .as_ref()
                        .is_none_or(|rollout| rollout.finished.is_some())
                );
                self.rollout = Some(RolloutView {
                    started: started.clone(),
                    opened: BTreeMap::new(),
                    baked: BTreeMap::new(),
                    finished: None,
                });
            }
            Step::OpenWave(opened) => self.fold_opened(opened),
            Step::BakeWave(baked) => {
                let rollout = self.rollout.as_mut().unwrap();
                assert!(rollout.opened.contains_key(&baked.wave));
                assert_eq!(rollout.baked.insert(baked.wave.clone(), baked.clone()), None);
            }
            Step::Finish(finished) => {
                let rollout = self.rollout.as_mut().unwrap();
                assert_eq!(rollout.finished.replace(finished.clone()), None);
                let previous = PreviousRollout::from(finished);
                self.previous.insert(finished.rollout.version.clone(), previous);
            }
            Step::Assign(draft) => self.fold_assign(draft),
            Step::Stop(stop) => {
                let task = self.assignments[&stop.cluster].clone();
                assert_eq!((task.epoch, task.action), (stop.stops, Action::Upgrade));
                let next = assignment(&task, Action::Stop, self.now, task.expires);
                self.assigned(&stop.cluster, next);
            }
        }
    }

    fn assigned(&mut self, cluster: &ClusterName, next: Assignment) {
        let view = AssignmentView::next(self.assignments.get(cluster), &next);
        self.assignments.insert(cluster.clone(), view);
        self.log.push(Logged::Assigned(cluster.clone(), Box::new(next)));
    }

    /// The same events again, each report twice, as a controller that begins anew reads them.
    pub(super) fn replayed(&self) -> BTreeMap<ClusterName, AssignmentView> {
        let mut views: BTreeMap<ClusterName, AssignmentView> = BTreeMap::new();
        for logged in &self.log {
            match logged {
                Logged::Assigned(cluster, next) => {
                    let view = AssignmentView::next(views.get(cluster), next);
                    views.insert(cluster.clone(), view);
                }
                Logged::Said(report) => {
                    let view = views.get_mut(&report.cluster).unwrap();
                    view.report(report);
                    view.report(report);
                }
            }
        }
        views
    }

    pub(super) fn stopped(&self, scope: &str) -> bool {
        self.stops.iter().any(|stop| stop.scope.to_string() == scope)
    }

    fn fold_opened(&mut self, opened: &WaveOpened) {
        let (wave, why) = (opened.wave.as_str(), opened.detail.clone());
        let (now, ledger_ok) = (self.now, self.ledger_ok);
        let rollout = self.rollout.as_mut().unwrap();
        let earlier = rollout.started.waves.iter().take_while(|w| w.name != wave);
        assert!(
            earlier.into_iter().all(|w| rollout.baked.contains_key(&w.name)),
            "{wave} opens too early"
        );
        assert!(ledger_ok);
        let key = rollout.started.rollout.clone();
        assert_eq!(
            rollout.opened.insert(wave.to_owned(), Opened { at: now, why }),
            None
        );
        let open = rollout.opened.len() - rollout.baked.len();
        assert_eq!(open, 1, "one open wave at most that has not baked");
        for scope in [
            "fleet".to_owned(),
            format!("wave/{wave}"),
            format!("rollout/{key}"),
        ] {
            assert!(!self.stopped(&scope), "{wave} opens under a stop of {scope}");
        }
    }

    fn fold_assign(&mut self, draft: &AssignDraft) {
        let rollout = self.rollout.clone().unwrap();
        let wave = wave_of(&rollout, &draft.cluster).unwrap();
        let until = self
            .world()
            .allowed(&draft.release, &draft.policy, &draft.baseline)
            .unwrap();
        assert!(draft.expires <= until, "an assignment outlives its ALLOW");
        assert!(draft.expires <= self.now + ASSIGNMENT_LIFETIME);
        let previous = self.assignments.get(&draft.cluster).cloned();
        assert!(
            draft
                .renews
                .is_none_or(|renews| renews == previous.as_ref().unwrap().epoch)
        );
        let member = self.members.iter().find(|m| m.cluster == draft.cluster).unwrap();
        let touches =
            |stop: &domain::StopSetting| stop.scope.touches(member, Some(&wave.name), Some(&draft.rollout));
        let goes_on = draft.renews.is_some() && previous.as_ref().is_some_and(|p| p.reports.accepted);
        assert!(
            goes_on || !self.stops.iter().any(touches),
            "{} is begun under a stop",
            draft.cluster
        );
        if draft.mode == Mode::Enforce {
            assert_eq!(self.world().mode(&wave.name, member), Mode::Enforce);
            assert!(rollout.opened.contains_key(&wave.name));
            let begun = previous.as_ref().is_some_and(|p| p.reports.accepted);
            assert!(self.ledger_ok || (draft.renews.is_some() && begun));
        }
        let view = AssignmentView {
            epoch: previous.as_ref().map_or(Epoch(0), |p| p.epoch),
            task: Epoch(0),
            rollout: draft.rollout.clone(),
            target: draft.release.clone(),
            baseline: draft.baseline.clone(),
            mode: draft.mode,
            action: draft.action,
            issued: self.now,
            expires: draft.expires,
            reports: Reports::default(),
        };
        let next = assignment(&view, draft.action, self.now, draft.expires);
        let before = self.in_work_of(wave);
        self.assigned(&draft.cluster, next);
        // An agent may have accepted what ended before its report came: then there is one more than there are
        // places, and none is begun.
        let at_most = before.max(wave.max_concurrency as usize);
        assert!(
            self.in_work_of(wave) <= at_most,
            "too many at once in {}",
            wave.name
        );
    }

    fn in_work_of(&self, wave: &domain::rollout::WaveSnapshot) -> usize {
        let member = |c: &&ClusterName| self.members.iter().any(|m| !m.removed && m.cluster == **c);
        let in_work = |c: &&ClusterName| self.assignments.get(*c).is_some_and(|t| t.in_work(self.now));
        wave.clusters.iter().filter(member).filter(in_work).count()
    }
}

/// The next assignment of a cluster, with everything that does not matter here made up.
fn assignment(like: &AssignmentView, action: Action, issued: Timestamp, expires: Timestamp) -> Assignment {
    let statement = || StatementRef {
        subject: String::new(),
        digest: Digest::of(b"statement"),
    };
    Assignment {
        cluster: name("any"),
        epoch: Epoch(like.epoch.0 + 1),
        action,
        mode: like.mode,
        rollout: like.rollout.clone(),
        target: like.target.clone(),
        layer: Digest::of(b"layer"),
        images: BTreeMap::new(),
        image_registry: "ghcr.io".to_owned(),
        baseline: like.baseline.clone(),
        contents: statement(),
        baseline_contents: statement(),
        decision: statement(),
        summaries: Vec::new(),
        stops: Vec::new(),
        stable_for: SignedDuration::ZERO,
        success_deadline: SignedDuration::ZERO,
        issued,
        expires,
        as_of: 0,
    }
}
