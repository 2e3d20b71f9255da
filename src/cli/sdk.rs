//! `cursorgate sdk`: writes typed clients.

use std::{fs, path::Path};

use super::{
    Failure,
    arguments::{SdkArguments, SdkLanguageArgument},
    report,
};
use cursorgate_config::{self as config, ProcessEnvironment, WithoutSecrets};
use cursorgate_gateway::Snapshot;
use cursorgate_tools::sdk::{self, SdkFile, SdkLanguage};

/// Writes a client for the lists of a configuration. The secrets of the configuration need not be available.
pub(super) fn run(arguments: SdkArguments) -> Result<(), Failure> {
    let SdkArguments { config, language, out, name } = arguments;
    if !sdk::is_package_name(&name) {
        let help = "write small letters, digits, - and _, a letter first";
        return Err(Failure::mistaken(format!("{name:?} is not a name of a package: {help}")));
    }
    let (settings, mut diagnostics) = config::load(&config.path(), &WithoutSecrets(&ProcessEnvironment::default()));
    let settings = settings.map(|settings| settings.without_certificates());
    let snapshot = settings.as_ref().and_then(|settings| Snapshot::build(settings, None, &mut diagnostics));
    report::diagnostics(&diagnostics);
    let (Some(settings), Some(snapshot)) = (settings, snapshot) else {
        return Err(Failure::mistaken(report::counts(&diagnostics)));
    };
    let (language, folder, next) = match language {
        SdkLanguageArgument::Typescript => (SdkLanguage::TypeScript, "sdk-typescript", "npm install && npm test"),
        SdkLanguageArgument::Python => (SdkLanguage::Python, "sdk-python", "python3 -m unittest tests.test_client"),
    };
    let client = sdk::write(&settings, &snapshot, language, &name);
    for reason in &client.left_out {
        report::note(&format!("cursorgate: {reason}\n"));
    }
    if client.lists.is_empty() {
        return Err(Failure::failed("the configuration has no list for which a client could be written"));
    }
    let folder = out.unwrap_or_else(|| folder.into());
    for file in &client.files {
        write(&folder, file)?;
    }
    let folder = folder.display();
    report::output(&format!(
        "{folder} has a client of {}. Its tests:\n\n  cd {folder} && {next}\n",
        client.lists.join(", ")
    ))
}

fn write(folder: &Path, file: &SdkFile) -> Result<(), Failure> {
    let path = folder.join(&file.path);
    if file.stays && path.exists() {
        return Ok(());
    }
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(&path, &file.text))
        .map_err(|error| Failure::failed(format!("{} can't be written: {error}", path.display())))
}
