//! The help texts. Each command says in a paragraph what it is for and shows how it is used.

mod verbs;

pub(super) use verbs::*;

pub(super) const ROOT: &str = "\
fluxgate keeps Flux up to date on a fleet of Kubernetes clusters. It notices a release, verifies who built \
it, asks a written policy, and upgrades the fleet wave by wave. It only looks until somebody says \
`fluxgate enforce`.";

pub(super) const ROOT_MORE: &str = "\
Examples:
  fluxgate status                           what needs you, and what everything waits for
  fluxgate check                            is everything well?
  fluxgate get releases                     what was seen, and what became of it
  fluxgate describe releases/v2.9.4         why it may run, or why not
  fluxgate enforce --wave canary            allow fluxgate to write to the clusters of a wave
  fluxgate freeze set fleet --reason TEXT   stop everything that has not begun

`fluxgate --help` shows the exit codes, `fluxgate COMMAND --help` more about a command.";

pub(super) const EXIT_CODES: &str = "\
Examples:
  fluxgate status                           what needs you, and what everything waits for
  fluxgate check                            is everything well?
  fluxgate get releases                     what was seen, and what became of it
  fluxgate describe releases/v2.9.4         why it may run, or why not
  fluxgate enforce --wave canary            allow fluxgate to write to the clusters of a wave
  fluxgate freeze set fleet --reason TEXT   stop everything that has not begun

Exit codes:
  0    done
  1    the answer is no: something is refused, halted or failed; `wait` for what can't come any more
  2    a mistake in the command or in what it was given; nothing of that name
  3    no answer: the hub can't be reached, is too slow, or failed
  4    not authenticated, or not permitted
  8    still pending: something waits for a person or for time; the time of `wait` was over
  130  interrupted

stdout carries the answer alone; progress, hints and errors go to stderr. With `-o json` an error is JSON, too, \
and a summary for people goes to stderr unless -q.

Each global option has a variable: --server is FLUXGATE_SERVER, --no-header FLUXGATE_NO_HEADER, and so on. What \
is typed wins.";

pub(super) const CHECK: &str = "\
Looks whether fluxgate can do its work: the hub and each of its services, the ledger, the agent of each \
cluster, clocks, and the health of the clusters. Exits with 1 if anything is wrong; with 3 if the hub can't \
be asked at all.";

pub(super) const CHECK_MORE: &str = "\
Examples:
  fluxgate check
  fluxgate check -q                         only what is wrong
  fluxgate check -o json | jq '.checks[] | select(.result != \"PASSED\")'";

pub(super) const GET: &str = "\
Lists releases, decisions, policies, rollouts, clusters, stops, or entries of the ledger; or shows one by its \
name. With --watch it goes on and shows each change of rollouts or clusters, over broken connections, until \
Ctrl-C or --timeout; with `-o json` one object per line. `-` stands where nothing is known yet; NOT_CHECKED is written where a check could not be made: it never \
means that all is well.";

pub(super) const GET_MORE: &str = "\
Examples:
  fluxgate get releases
  fluxgate get decisions --release v2.9.4
  fluxgate get clusters -o wide
  fluxgate get clusters/prod-eu-7
  fluxgate get clusters --watch
  fluxgate get stops --lifted
  fluxgate get entries --cluster prod-eu-7
  fluxgate get rollouts -o json | jq '.items[].name'";

pub(super) const DESCRIBE: &str = "\
Tells the whole story of one release, decision, rollout or cluster: what was checked and found, which rules \
said what, what it waits for, and what to do next.";

pub(super) const DESCRIBE_MORE: &str = "\
Examples:
  fluxgate describe releases/v2.9.4         expected and found identity side by side
  fluxgate describe decisions/0123456789abcdef
  fluxgate describe rollouts/flux-v2.9.4-1
  fluxgate describe clusters/prod-eu-7      what it waits for and since when, facts, reports, health";

pub(super) const RECONCILE: &str = "\
`releases` looks for new releases now in place of at the next interval, and announces those that were not \
seen before. Verification and decisions follow by themselves.

`releases/VERSION` verifies that release again now, whatever was found before, and shows each check that did \
not pass. What was said before stays in the ledger; the newest attempt counts. Where something is not there or \
not signed yet and upstream still has time, nothing is stored. `-o wide` shows the checks that passed, too.

A verification exits with 0 where everything passed, with 1 where a check failed or could not be made, with 8 \
where nothing was stored yet.";

pub(super) const RECONCILE_MORE: &str = "\
Examples:
  fluxgate reconcile releases
  fluxgate reconcile releases --dry-run     what is there; announce nothing
  fluxgate reconcile releases/v2.9.4        verify it again
  fluxgate reconcile releases/v2.9.4 --dry-run  which attempt it would be; fetch and store nothing
  fluxgate reconcile releases/v2.9.4 --timeout 2m  where the registry is slow
  fluxgate reconcile releases/v2.9.4 -o json | jq .summary.checks";

pub(super) const ENFORCE: &str = "\
Allows fluxgate to write to the clusters of a wave, or to one cluster; with --observe takes that back. This \
is a person's act and is stored as a signed event. Clusters that the fleet's file or their own agent's file \
caps at Observe stay there.";

pub(super) const ENFORCE_MORE: &str = "\
Examples:
  fluxgate enforce --wave canary --dry-run  whom it would touch
  fluxgate enforce --wave canary
  fluxgate enforce --cluster prod-eu-7 --observe";

pub(super) const AUDIT: &str = "\
Everything that was ever said on the event log stands in the ledger: a Merkle tree whose head is signed, kept by \
audit-log outside of NATS. These commands list it, show an entry with its proof, export it for outsiders and \
check such exports without any server; `rebuild` and `restore` are for after an accident.";

pub(super) const AUDIT_MORE: &str = "\
Examples:
  fluxgate audit list --release v2.9.4
  fluxgate audit show 17
  fluxgate audit export --out ./export
  fluxgate audit verify ./export --key ledger.vkey --root root.pub";

pub(super) const KEYS: &str = "\
Makes and shows keys. Everything that counts in fluxgate is signed: by services, whose keys stand in a trust \
bundle that the offline root key signed, and by agents, whose keys stand in the fleet's file.";

pub(super) const KEYS_MORE: &str = "\
Examples:
  fluxgate keys init --out ./keys
  fluxgate keys show ./keys/root.pub
  fluxgate keys agent --out ./prod-eu-7.key";

pub(super) const KEYS_INIT: &str = "\
Makes the root key, one key for each role, and a first trust bundle that names them, signed by the root key. \
Either all files are made or none.";

pub(super) const KEYS_INIT_MORE: &str = "\
Files:
  root.key      keep it offline; it is needed only to sign the next bundle
  root.pub      every service and agent pins it
  ROLE.key      one for each service: verifier, scanner, policy, controller, ledger
  ROLE.pub      its public half
  bundle.json   public; `fluxgate migrate --bundle` publishes it

Examples:
  fluxgate keys init --out ./keys
  fluxgate keys init --out ./demo --demo";

pub(super) const KEYS_SHOW: &str = "\
Shows the fingerprint of a private or public key, as logs, bundles and the fleet's file write it.";

pub(super) const KEYS_SHOW_MORE: &str = "\
Examples:
  fluxgate keys show ./keys/root.pub";

pub(super) const KEYS_AGENT: &str = "\
Makes the key of one cluster's agent and prints the line that fleet.yaml needs for it.";

pub(super) const KEYS_AGENT_MORE: &str = "\
Examples:
  fluxgate keys agent --out ./prod-eu-7.key";

pub(super) const MIGRATE: &str = "\
Makes the streams and buckets on a NATS server, changes what can be changed without losing anything, and puts \
the trust bundle there. A stream that differs otherwise is an error: nothing is ever changed by force, and \
nothing is deleted. `fluxgate dev` does this by itself.";

pub(super) const MIGRATE_MORE: &str = "\
Examples:
  fluxgate migrate --nats nats://127.0.0.1:4222 --bundle ./keys/bundle.json
  fluxgate migrate --nats nats://nats:4222 --replicas 3 --max-bytes 10GiB
  fluxgate migrate --nats nats://nats:4222 --dry-run";

pub(super) const VERSION: &str = "\
Shows the version of this binary, the commit it was built from, and the API that it speaks.";

pub(super) const VERSION_MORE: &str = "\
Examples:
  fluxgate version
  fluxgate version -o json | jq -r .commit";

pub(super) const DEV: &str = "\
Runs a hub on this machine until Ctrl-C: a nats-server, keys and all services in one process, with their state \
in one folder. What is missing is made: keys for each role, a fleet without clusters, the default policy and \
strategy. The keys are for trying out: they lie beside each other, so every decision is marked DEMO.";

pub(super) const DEV_MORE: &str = "\
Examples:
  fluxgate dev                              state in .fluxgate, gRPC at 127.0.0.1:7878
  fluxgate dev --config dev.toml            own fleet, policies, mirrors
  fluxgate dev --nats nats://127.0.0.1:4222  a nats-server that is running already

The file holds fleet, strategy, policies, trust_root, range, interval, [[registry.mirror]], [telemetry].";

pub(super) const POLICY: &str = "\
Works with the files that say what may run where: policies, strategies and the fleet. Looks for mistakes \
before a service meets them, asks a policy what it would say, and makes decisions again from what was stored \
of them.";

pub(super) const POLICY_MORE: &str = "\
Examples:
  fluxgate policy lint policy.yaml strategy.yaml fleet.yaml
  fluxgate policy lint --fleet fleet.yaml --strategy strategy.yaml
  fluxgate policy eval -f policy.yaml decisions/0123456789abcdef
  fluxgate policy replay decisions/0123456789abcdef";

pub(super) const POLICY_LINT: &str = "\
Reads policies, strategies and fleets as the services do, and shows everything that they would refuse: file, \
line, column, what was expected, and what was probably meant. With --fleet and --strategy it also shows which \
cluster is in which wave, which are in two, and which in none. No server is asked.

Exits with 0 where all is well, with 1 where something was found, with 2 where a file can't be read.";

pub(super) const POLICY_LINT_MORE: &str = "\
Examples:
  fluxgate policy lint policy.yaml
  fluxgate policy lint *.yaml -o json | jq '.files[].findings[]'
  fluxgate policy lint --fleet fleet.yaml --strategy strategy.yaml";

pub(super) const POLICY_EVAL: &str = "\
Asks a policy about what a decision rested on: the same release, evidence and baseline, another policy, and \
another time where --at names one. Nothing is decided by it.

Exits with 0 for ALLOW, with 1 for DENY, with 8 for WAIT and NEEDS_APPROVAL.";

pub(super) const POLICY_EVAL_MORE: &str = "\
Examples:
  fluxgate policy eval -f strict.yaml decisions/0123456789abcdef
  fluxgate policy eval -f strict.yaml decisions/0123456789abcdef --at 2026-12-24T09:00:00Z
  fluxgate policy eval -f strict.yaml --inputs inputs.json";

pub(super) const POLICY_REPLAY: &str = "\
Makes a decision again from the input document that was stored when it was made, and compares the result with \
what was signed, byte for byte. Only the time of the signature and its span are taken from the decision \
itself. Whether the signature counts is another question, which `fluxgate audit verify` answers.

Exits with 0 where both are the same, with 1 where they differ.";

pub(super) const POLICY_REPLAY_MORE: &str = "\
Examples:
  fluxgate policy replay decisions/0123456789abcdef
  fluxgate policy replay --inputs inputs.json --decision decision.json";

pub(super) const POLICY_SCHEMA: &str = "\
Prints the JSON Schema (draft 2020-12) of a kind of file, for editors and for other programs. The first line \
of the shipped files names theirs: `# yaml-language-server: $schema=...`.";

pub(super) const POLICY_SCHEMA_MORE: &str = "\
Examples:
  fluxgate policy schema policy > policy.schema.json
  fluxgate policy schema agent | jq '.properties | keys'";
