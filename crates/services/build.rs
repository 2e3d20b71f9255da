//! Takes the files of Swagger UI for the reference page of the public contract out of their archive, and compresses
//! them.

use std::{
    borrow::Cow,
    env,
    error::Error,
    fs::File,
    io::{self, Cursor},
    path::PathBuf,
};

use flate2::{Compression, write::GzEncoder};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{ZipArchive, result::ZipResult};

const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let directory = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in FILES {
        // The first part of a path has the version of Swagger UI.
        let end = format!("/dist/{name}");
        let is_file = |path: &ZipResult<Cow<'_, str>>| path.as_ref().is_ok_and(|path| path.ends_with(&end));
        let place = archive.file_names().position(|path| is_file(&path));
        let mut file = archive.by_index(place.ok_or_else(|| format!("the archive of Swagger UI has no {name}"))?)?;
        let compressed = File::create(directory.join(format!("{name}.gz")))?;
        let mut encoder = GzEncoder::new(compressed, Compression::best());
        io::copy(&mut file, &mut encoder)?;
        encoder.finish()?;
    }
    Ok(())
}
