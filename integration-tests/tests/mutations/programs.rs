//! The test programs of the crates, built once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A test program of a crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Program {
    pub(crate) package: &'static str,
    /// A target under `tests`; the unit tests have the name of the crate.
    pub(crate) target: &'static str,
}

/// A built one.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) executable: PathBuf,
    /// Where cargo would run it.
    pub(crate) folder: PathBuf,
}

/// All that are built, by package and target.
#[derive(Debug)]
pub(crate) struct Programs(BTreeMap<(String, String), Built>);

/// The targets that cases name, of the whole workspace as `cargo verify-faults` has it: what it built is
/// not built again with other features of its dependencies.
const BUILD: &str = "test --no-run --locked --ignore-rust-version \
    --message-format=json-render-diagnostics --workspace \
    --features integration-tests/fault-injection --lib --test consumer_loop --test databases";

impl Programs {
    /// Builds them with the cargo that built this program.
    pub(crate) fn build() -> Result<Self, String> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(BUILD.split_whitespace());
        // What cargo tells its child about this package would have build scripts run again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_"]
                .iter()
                .any(|own| text.starts_with(own))
            {
                cargo.env_remove(&name);
            }
        }
        let output = cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("cargo {BUILD}: {}", output.status));
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let built = messages.lines().filter_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            let executable = message["executable"].as_str()?.into();
            let folder = PathBuf::from(message["manifest_path"].as_str()?);
            let folder = folder.parent()?.to_owned();
            let package = folder.file_name()?.to_str()?.to_owned();
            let target = message["target"]["name"].as_str()?.replace('_', "-");
            message["profile"]["test"].as_bool()?.then_some(())?;
            Some(((package, target), Built { executable, folder }))
        });
        Ok(Self(built.collect()))
    }

    pub(crate) fn get(&self, program: Program) -> Result<&Built, String> {
        let Program { package, target } = program;
        let key = (package.to_owned(), target.replace('_', "-"));
        let built = self.0.get(&key);
        built.ok_or_else(|| format!("{package} has no test program {target}"))
    }
}
