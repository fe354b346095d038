//! What somebody without fluxgate does with an export: the commands that its README.txt tells, as they stand there.

use std::path::Path;
use std::process::Stdio;

/// Where the commands begin and end in README.txt.
const BEGIN: &str = "Without fluxgate";
const END: &str = "What a signature can't prove";

/// The commands of a README.txt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// A script of everything that bash, jq, openssl and coreutils can do.
    pub script: String,
    /// The command for cosign; it needs nothing of the script but `I`.
    pub cosign: String,
}

/// What a script printed, and whether it succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Whether it ended with 0.
    pub succeeded: bool,
}

/// Takes the commands out of a README.txt; `None` where it has none.
#[must_use]
pub fn commands(readme: &str) -> Option<Commands> {
    let (_, rest) = readme.split_once(BEGIN)?;
    let (commands, _) = rest.split_once(END)?;
    let mut script = "set -euo pipefail\n".to_owned();
    let mut cosign = String::new();
    let mut of_cosign = false;
    for line in commands.lines().filter_map(|line| line.strip_prefix("    ")) {
        of_cosign |= line.starts_with("cosign ");
        let place = if of_cosign { &mut cosign } else { &mut script };
        place.push_str(line);
        place.push('\n');
        of_cosign &= line.ends_with('\\');
    }
    // The number of the leaf stands before both.
    let number = script.lines().find(|line| line.starts_with("I="));
    let cosign = format!("{}\n{cosign}", number.unwrap_or_default());
    Some(Commands { script, cosign })
}

/// Runs a script in the folder of an export.
///
/// # Errors
/// If bash can't be started.
pub async fn run(export: &Path, script: &str) -> std::io::Result<Ran> {
    let output = tokio::process::Command::new("bash")
        .args(["-c", script])
        .current_dir(export)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    Ok(Ran {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        succeeded: output.status.success(),
    })
}

/// Whether a program is to be found by bash.
pub async fn has(program: &str) -> bool {
    let looked = run(Path::new("."), &format!("command -v {program}")).await;
    looked.is_ok_and(|ran| ran.succeeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosign_is_kept_apart_with_the_number_that_it_needs() {
        let readme = "text\nWithout fluxgate, here:\n\n    I=7\n    jq . && echo OK type\n\nThe same:\n\n    \
                      cosign verify \\\n      --key k && echo OK cosign\n\n    cmp a b\nWhat a signature can't prove\n    no\n";
        let found = commands(readme).unwrap();
        assert_eq!(
            found.script,
            "set -euo pipefail\nI=7\njq . && echo OK type\ncmp a b\n"
        );
        assert_eq!(
            found.cosign,
            "I=7\ncosign verify \\\n  --key k && echo OK cosign\n"
        );
        assert_eq!(commands("nothing"), None);
    }
}
