//! Golden vectors from PyTorch and transformers, where the shared directory stands beside the
//! checkout.

mod items;

use std::path::PathBuf;

/// The shared directory, or a loud line and `None`. `REQUIRE_SHARED=1` turns the skip into a
/// failure.
pub fn shared(part: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(part);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("REQUIRE_SHARED").is_none(),
        "REQUIRE_SHARED is set but {} does not exist",
        path.display()
    );
    eprintln!("SKIPPED: {} does not exist", path.display());
    None
}

#[test]
fn losses_and_gpt2_agree_with_pytorch() {
    let Some(dir) = shared("golden") else { return };
    let certificate = fortifai::verify::golden(&dir).unwrap();
    let failed: Vec<_> = certificate.checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), certificate.checks.len());
    assert!(certificate.checks.len() >= 180 + 28 * 4);
}
