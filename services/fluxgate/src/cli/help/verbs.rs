//! Help of the verbs that say what needs whom, stop, wait and explain.

pub(in crate::cli) const STATUS: &str = "\
Shows on one screen what needs you, most important first, each with the command to type next; then releases, \
the waves of rollouts and what they wait for with the earliest time, and clusters that are blocked or silent. \
Exits with 1 if something is refused, halted or failed, with 8 if something waits for a person or for time, \
with 0 if all is done, with 3 if there is no answer.";

pub(in crate::cli) const STATUS_MORE: &str = "\
Examples:
  fluxgate status
  fluxgate status -o wide                   every need, none left out
  fluxgate status -o json | jq '.needs[].command'
  fluxgate status -q > /dev/null || echo \"exit code $?\"";

pub(in crate::cli) const ROLLOUT: &str = "\
Pauses, resumes, retries or follows one rollout. A pause begins nothing more; a cluster whose task was begun \
finishes it.";

pub(in crate::cli) const ROLLOUT_MORE: &str = "\
Examples:
  fluxgate rollout pause rollouts/flux-v2.9.4-1 --reason \"alerts in canary\"
  fluxgate rollout resume rollouts/flux-v2.9.4-1 --reason \"explained\"
  fluxgate rollout retry rollouts/flux-v2.9.4-1 --reason \"node repaired\"
  fluxgate rollout watch rollouts/flux-v2.9.4-1";

pub(in crate::cli) const ROLLOUT_PAUSE: &str = "\
Begins nothing more in a rollout until it is resumed. A cluster whose task was begun finishes it.";

pub(in crate::cli) const ROLLOUT_PAUSE_MORE: &str = "\
Examples:
  fluxgate rollout pause rollouts/flux-v2.9.4-1 --reason \"alerts in canary\"
  fluxgate rollout pause rollouts/flux-v2.9.4-1 --reason test --dry-run";

pub(in crate::cli) const ROLLOUT_RESUME_MORE: &str = "\
Examples:
  fluxgate rollout resume rollouts/flux-v2.9.4-1 --reason \"explained\"";

pub(in crate::cli) const ROLLOUT_RETRY: &str = "\
Asks for another attempt after a rollout was halted. A new rollout of the same release begins; what the halted \
one did stays in the ledger.";

pub(in crate::cli) const ROLLOUT_RETRY_MORE: &str = "\
Examples:
  fluxgate rollout retry rollouts/flux-v2.9.4-1 --reason \"node repaired\"
  fluxgate rollout retry rollouts/flux-v2.9.4-1 --reason test --dry-run";

pub(in crate::cli) const ROLLOUT_WATCH: &str = "\
Follows a rollout until it ends, one line for each change. Exits with 0 when it is COMPLETED, with 1 when it is \
HALTED or SUPERSEDED, with 8 when --timeout is over before.";

pub(in crate::cli) const ROLLOUT_WATCH_MORE: &str = "\
Examples:
  fluxgate rollout watch rollouts/flux-v2.9.4-1
  fluxgate rollout watch rollouts/flux-v2.9.4-1 -o json | jq .state";

pub(in crate::cli) const FREEZE: &str = "\
Begins nothing in the whole fleet, in a wave, or in clusters with a label, until it is lifted. A cluster whose \
task was begun finishes it. Lifting the freeze of the fleet asks for a yes.";

pub(in crate::cli) const FREEZE_MORE: &str = "\
Examples:
  fluxgate freeze set fleet --reason \"end of quarter\"
  fluxgate freeze set waves/prod --reason \"incident 4711\"
  fluxgate freeze clear labels/region=eu --reason \"over\"
  fluxgate get stops";

pub(in crate::cli) const FREEZE_SET_MORE: &str = "\
Examples:
  fluxgate freeze set fleet --reason \"end of quarter\"
  fluxgate freeze set waves/prod --reason \"incident 4711\" --dry-run";

pub(in crate::cli) const FREEZE_CLEAR_MORE: &str = "\
Examples:
  fluxgate freeze clear waves/prod --reason \"incident is over\"
  fluxgate freeze clear fleet --reason \"quarter is over\" --yes";

pub(in crate::cli) const HOLD: &str = "\
Begins nothing in one cluster until the hold is lifted. The other clusters of its wave go on.";

pub(in crate::cli) const HOLD_MORE: &str = "\
Examples:
  fluxgate hold set clusters/prod-eu-7 --reason \"rolled back by hand\"
  fluxgate hold clear clusters/prod-eu-7 --reason \"repaired\"";

pub(in crate::cli) const HOLD_SET_MORE: &str = "\
Examples:
  fluxgate hold set clusters/prod-eu-7 --reason \"rolled back by hand\"";

pub(in crate::cli) const HOLD_CLEAR_MORE: &str = "\
Examples:
  fluxgate hold clear clusters/prod-eu-7 --reason \"repaired\"";

pub(in crate::cli) const RECALL: &str = "\
Begins nothing with any release of a version, whatever its digest. Clusters that run it already stay as they \
are: fluxgate never goes back by itself.";

pub(in crate::cli) const RECALL_MORE: &str = "\
Examples:
  fluxgate recall set releases/v2.9.4 --reason \"upstream took it back\"
  fluxgate recall clear releases/v2.9.4 --reason \"false alarm\"";

pub(in crate::cli) const RECALL_SET_MORE: &str = "\
Examples:
  fluxgate recall set releases/v2.9.4 --reason \"upstream took it back\"";

pub(in crate::cli) const RECALL_CLEAR_MORE: &str = "\
Examples:
  fluxgate recall clear releases/v2.9.4 --reason \"false alarm\"";

pub(in crate::cli) const WAIT: &str = "\
Waits until a field of a resource has a value. Exits with 0 when it has, with 1 when it can't have it any more \
(the rollout is HALTED, the release is denied), with 8 when the time is over, with 3 when there is no answer. \
A broken connection is made again.";

pub(in crate::cli) const WAIT_MORE: &str = "\
Examples:
  fluxgate wait rollouts/flux-v2.9.4-1 --for=state=COMPLETED --timeout 4h
  fluxgate wait releases/v2.9.4 --for=outcome=ALLOW
  fluxgate wait clusters/prod-eu-7 --for=version=v2.9.4
  fluxgate wait clusters/prod-eu-7 --for=health=HEALTHY --timeout 5m";

pub(in crate::cli) const EXPLAIN: &str = "\
Says what a reason code means and what to do about it: the page of docs/reasons, which is part of this binary. \
Asks no server. Without a code it lists all.";

pub(in crate::cli) const EXPLAIN_MORE: &str = "\
Examples:
  fluxgate explain IDENTITY_MISMATCH
  fluxgate explain
  fluxgate explain TAG_MOVED -o json";

pub(in crate::cli) const COMPLETION: &str = "\
Prints the completion script of a shell.";

pub(in crate::cli) const COMPLETION_MORE: &str = "\
Examples:
  fluxgate completion bash > /etc/bash_completion.d/fluxgate
  fluxgate completion zsh > ~/.zfunc/_fluxgate
  fluxgate completion fish > ~/.config/fish/completions/fluxgate.fish";

pub(in crate::cli) const MAN: &str = "\
Writes one man page for each command.";

pub(in crate::cli) const MAN_MORE: &str = "\
Examples:
  fluxgate man --out ./man
  man ./man/fluxgate-get.1";
