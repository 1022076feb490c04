//! Descriptors stay as many as they were. Alone in its executable: it counts those of the process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "role/client.rs"]
#[allow(dead_code, reason = "shared with the tests of the role, which use more of it")]
mod client;
#[path = "role/prototype.rs"]
#[allow(dead_code, reason = "shared with the tests of the role, which use more of it")]
mod prototype;
#[path = "role/stage.rs"]
#[allow(dead_code, reason = "shared with the tests of the role, which use more of it")]
mod stage;

use stage::on_stage;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn settle(at_most: usize) {
    stage::until("descriptors are back", || descriptors() <= at_most).await;
}

/// N5: neither requests of any kind nor reconfigurations leave descriptors behind.
#[test]
fn nothing_that_was_opened_is_kept() {
    on_stage(async |stage| {
        let conf = |number: u32| {
            format!(
                r#"{{"settings":{{"listen_threads":{}}},
                "listeners":{{"@one":{{"pass":"routes"}}{}}},
                "routes":[{{"match":{{"uri":"/app/*"}},"action":{{"rewrite":"/hello","pass":"applications/a"}}}},
                    {{"match":{{"uri":["/echo","/fail","/cut","/die","/status/*"]}},"action":{{"pass":"applications/a"}}}},
                    {{"match":{{"uri":"/f"}},"action":{{"share":"/proc/self/comm"}}}},
                    {{"action":{{"return":404}}}}],
                "applications":{{"a":{{"type":"python","path":"/","module":"wsgi{}","processes":2}}}}}}"#,
                1 + number % 3,
                if number.is_multiple_of(2) { r#","@two":{"pass":"routes"}"# } else { "" },
                number % 5,
            )
        };
        let rounds = async |numbers: std::ops::Range<u32>| {
            for number in numbers {
                stage.apply(&conf(number)).await;
                let mut client = stage.connect().await;
                client.get("/app/x").await;
                client.get("/f").await;
                client.get("/missing").await;
                client.get("/fail").await;
                let head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n";
                client.send(head).await;
                client.send(&[b'e'; 50_000]).await;
                assert_eq!(client.response("POST").await.unwrap().body.len(), 50_000);
                if number.is_multiple_of(4) {
                    client.get("/die").await;
                    client.send(b"GET /cut HTTP/1.1\r\nHost: x\r\n\r\n").await;
                    assert!(client.response("GET").await.is_none());
                }
                // Refused: what was started and opened for it goes again.
                let text = stage.fill_in(&conf(number).replace("@one", "@three"));
                stage::prepare(&stage.controller, text).await.unwrap();
                let text = String::from_utf8(stage.fill_in(&conf(number))).unwrap();
                assert!(
                    stage
                        .prepare(
                            &text.replace("\"return\":404", "\"proxy\":\"http://127.0.0.1:1\"")
                        )
                        .await
                        .is_err()
                );
            }
            stage.apply("{}").await;
            stage.until_status("all is over", |status| status.accepted == status.closed).await;
            stage::until("they end", || stage.main.ended.get() == stage.main.prototypes.get())
                .await;
        };
        rounds(0..10).await;
        let before = descriptors();
        rounds(10..70).await;
        settle(before).await;
        stage.quit().await;
    });
}
