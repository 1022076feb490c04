//! The file of the access log between router and main.

use crate::apply::RETURN;
use crate::stage::on_stage;

fn logging(path: &str, format: &str) -> String {
    RETURN.replacen('{', &format!(r#"{{"access_log":{{"path":"{path}","format":"{format}"}},"#), 1)
}

#[test]
fn a_path_that_stays_is_opened_once() {
    on_stage(async |stage| {
        let path = stage.tmp_dir.path().join("access.log");
        let path = path.to_str().unwrap();
        for (format, opened) in [("a", 1), ("b", 1), ("c", 1)] {
            stage.apply(&logging(path, format)).await;
            assert_eq!(stage.main.logs_opened.get(), opened);
        }
        // One that is dropped changes nothing.
        stage.prepare(&logging(&format!("{path}.2"), "d")).await.unwrap();
        stage.apply(&logging(path, "e")).await;
        assert_eq!(stage.main.logs_opened.get(), 2);
        stage.apply(RETURN).await;
        stage.apply(&logging(path, "f")).await;
        assert_eq!(stage.main.logs_opened.get(), 3);
        stage.quit().await;
    });
}

/// It may be the renamed one that main opened.
#[test]
fn a_file_that_is_renamed_while_it_is_opened_is_opened_again() {
    on_stage(async |stage| {
        for round in 0..20 {
            let path = stage.tmp_dir.path().join(format!("access.log.{round}"));
            let old = stage.tmp_dir.path().join(format!("old.{round}"));
            stage.main.rotate_at_open.set(Some(old));
            stage.apply(&logging(path.to_str().unwrap(), "$uri")).await;
            let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
            while !std::fs::read_to_string(&path).is_ok_and(|text| text.ends_with("/x\n")) {
                assert!(tokio::time::Instant::now() < deadline, "the new file is not used");
                assert_eq!(stage.get("/x").await.0, 200);
                tokio::task::yield_now().await;
            }
        }
        stage.quit().await;
    });
}
