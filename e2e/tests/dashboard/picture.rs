//! The page that the README shows. `UPDATE_GOLDEN=1` writes it anew and takes its picture.

use std::fs;
use std::path::Path;

use super::programs;

/// Pixels of the picture, across and down.
const SIZE: (u32, u32) = (1440, 1000);

#[tokio::test]
async fn the_page_beside_the_picture_in_the_readme_is_the_one_that_is_drawn_now() {
    let programs = programs().await;
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images");
    let (kept, picture) = (images.join("preview.html"), images.join("preview.png"));
    let directory = tempfile::tempdir().unwrap();
    let drawn = programs.page(&["--drill", "HighErrorRate"], &directory.path().join("preview.html"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&kept, &drawn).unwrap();
        programs.browser(
            &kept,
            &[
                "--hide-scrollbars".to_owned(),
                format!("--window-size={},{}", SIZE.0, SIZE.1),
                format!("--screenshot={}", picture.display()),
            ],
        );
    }
    assert!(
        fs::read_to_string(&kept).unwrap_or_default() == drawn,
        "docs/images is stale: UPDATE_GOLDEN=1 cargo test --workspace --test dashboard picture"
    );
    // Behind the signature, a chunk's length and its name.
    let png = fs::read(&picture).unwrap();
    assert_eq!(png[16..24], [SIZE.0.to_be_bytes(), SIZE.1.to_be_bytes()].concat());
}
