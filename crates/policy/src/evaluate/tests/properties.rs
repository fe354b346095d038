use proptest::prelude::*;

use super::*;

fn result() -> impl Strategy<Value = CheckResult> {
    prop_oneof![
        6 => Just(CheckResult::Passed),
        1 => Just(CheckResult::Failed),
        1 => Just(CheckResult::NotChecked)
    ]
}

/// One thing that may be spoilt.
#[derive(Debug, Clone)]
enum Spoil {
    Evidence(usize, CheckResult),
    Own(usize, CheckResult),
    Line(usize, CheckResult),
    DropEvidence(usize),
    DropOwn(usize),
    DropLine(usize),
    OtherDigest(usize),
    NoContents,
    NoSummary,
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let n = 0..8_usize;
    prop_oneof![
        (n.clone(), result()).prop_map(|(n, r)| Spoil::Evidence(n, r)),
        (n.clone(), result()).prop_map(|(n, r)| Spoil::Own(n, r)),
        (n.clone(), result()).prop_map(|(n, r)| Spoil::Line(n, r)),
        n.clone().prop_map(Spoil::DropEvidence),
        n.clone().prop_map(Spoil::DropOwn),
        n.clone().prop_map(Spoil::DropLine),
        n.prop_map(Spoil::OtherDigest),
        Just(Spoil::NoContents),
        Just(Spoil::NoSummary),
    ]
}

fn spoil_one(case: &mut Case, spoil: &Spoil) {
    match *spoil {
        Spoil::Evidence(n, result) => {
            case.evidence
                .iter_mut()
                .skip(n)
                .take(1)
                .for_each(|evidence| evidence.result = result);
        }
        Spoil::Own(n, result) => {
            case.verified
                .iter_mut()
                .skip(n)
                .take(1)
                .for_each(|own| own.result = result);
        }
        Spoil::Line(n, result) => {
            let lines = case.summary.iter_mut().flat_map(|summary| &mut summary.checks);
            lines.skip(n).take(1).for_each(|line| line.result = result);
        }
        Spoil::DropEvidence(n) if n < case.evidence.len() => drop(case.evidence.remove(n)),
        Spoil::DropOwn(n) if n < case.verified.len() => drop(case.verified.remove(n)),
        Spoil::DropEvidence(_) | Spoil::DropOwn(_) => {}
        Spoil::DropLine(n) => case
            .summary
            .iter_mut()
            .for_each(|summary| summary.checks.truncate(n)),
        Spoil::OtherDigest(n) => {
            case.verified
                .iter_mut()
                .skip(n)
                .take(1)
                .for_each(|own| own.digest = Digest::of(b"other"));
        }
        Spoil::NoContents => case.contents = None,
        Spoil::NoSummary => case.summary = None,
    }
}

fn spoilt(spoils: &[Spoil]) -> Case {
    let mut case = Case::good();
    spoils.iter().for_each(|spoil| spoil_one(&mut case, spoil));
    case
}

/// The rule once more, in other words: everybody has said PASSED about every artifact of the contents.
fn all_passed(case: &Case) -> bool {
    let (Some(contents), Some(summary)) = (&case.contents, &case.summary) else {
        return false;
    };
    let mut wanted = vec![(Artifact::FluxManifests, case.release.manifests)];
    wanted.extend(
        contents
            .images
            .iter()
            .map(|(c, image)| (Artifact::Image(*c), image.index)),
    );
    let passed = CheckResult::Passed;
    summary.passed_for(&wanted, CheckKind::Signature)
        && wanted.iter().all(|(a, d)| {
            case.evidence
                .iter()
                .any(|e| (e.artifact, e.digest, e.result) == (*a, *d, passed))
                && case
                    .verified
                    .iter()
                    .any(|v| (v.artifact, v.digest, v.result) == (*a, *d, passed))
        })
}

proptest! {
    #[test]
    fn never_allow_unless_everything_passed(spoils in proptest::collection::vec(spoil(), 0..4)) {
        let case = spoilt(&spoils);
        let outcome = case.evaluate().outcome;
        prop_assert_eq!(outcome == Outcome::Allow, all_passed(&case), "{:?}", case.evaluate());
    }

    #[test]
    fn the_order_of_evidence_changes_nothing(
        spoils in proptest::collection::vec(spoil(), 0..4),
        evidence in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        own in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let case = spoilt(&spoils);
        let expected = case.evaluate();
        prop_assert_eq!(&case.evaluate(), &expected);
        let mut other = spoilt(&spoils);
        other.evidence = evidence.iter().filter_map(|n| case.evidence.get(*n).cloned()).collect();
        other.verified = own.iter().filter_map(|n| case.verified.get(*n).cloned()).collect();
        if let Some(summary) = &mut other.summary {
            summary.checks.reverse();
        }
        prop_assert_eq!(other.evaluate(), expected);
    }

    #[test]
    fn time_alone_never_takes_an_allow_back(hours in 0..2000_i64, more in 0..2000_i64) {
        let early = Case { now: at(hours), ..Case::good() }.evaluate();
        let late = Case { now: at(hours + more), ..Case::good() }.evaluate();
        prop_assert!(early.outcome != Outcome::Allow || late.outcome == Outcome::Allow);
    }
}
