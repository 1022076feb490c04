//! Configurations are prepared, committed and dropped.

use std::sync::atomic::Ordering;

use port_proto::{
    AbortConfig, CommitConfig, ConfigStage, Quit, RestartApplication, RestartRefusal,
};

use crate::prototype::Board;
use crate::stage::{on_stage, prepare, prepare_as, until};

pub(crate) const RETURN: &str =
    r#"{"listeners":{"@one":{"pass":"routes"}},"routes":[{"action":{"return":200}}]}"#;
pub(crate) const NOTHING: &str = "{}";

pub(crate) fn app(members: &str) -> String {
    format!(
        r#"{{"listeners":{{"@one":{{"pass":"applications/a"}}}},"applications":{{"a":{{"type":"python","path":"/","module":"wsgi"{members}}}}}}}"#
    )
}

#[test]
fn a_configuration_serves_from_its_commit_on() {
    on_stage(async |stage| {
        stage.prepare(RETURN).await.unwrap();
        assert_eq!(stage.main.held.borrow().len(), 1);
        stage.commit().await;
        assert_eq!(stage.get("/").await.0, 200);
        stage.apply(NOTHING).await;
        assert!(stage.main.held.borrow().is_empty(), "the address is free");
        stage.quit().await;
    });
}

#[test]
fn files_are_shared() {
    on_stage(async |stage| {
        let root = stage.tmp_dir.path().join("www");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("a.txt"), vec![b'f'; 300_000]).unwrap();
        let conf = format!(
            r#"{{"listeners":{{"@one":{{"pass":"routes"}}}},"routes":[{{"action":{{"share":"{}$uri"}}}}]}}"#,
            root.display()
        );
        stage.apply(&conf).await;
        let (status, body) = stage.get("/a.txt").await;
        assert_eq!((status, body.len()), (200, 300_000));
        assert_eq!(stage.get("/b.txt").await.0, 404);
        stage.quit().await;
    });
}

#[test]
fn a_commit_needs_a_prepared_configuration() {
    on_stage(async |stage| {
        assert!(stage.controller.request(CommitConfig).await.is_err());
        stage.prepare(RETURN).await.unwrap();
        stage.controller.request(AbortConfig).await.unwrap();
        assert!(stage.controller.request(CommitConfig).await.is_err());
        stage.quit().await;
    });
}

#[test]
fn dropping_a_prepared_configuration_undoes_it() {
    on_stage(async |stage| {
        stage.apply(RETURN).await;
        let two = app("").replace("@one", "@two");
        stage.prepare(&two).await.unwrap();
        assert_eq!(stage.main.held.borrow().len(), 2);
        assert_eq!(Board::get(&stage.board.running), 1);
        stage.controller.request(AbortConfig).await.unwrap();
        assert_eq!(stage.main.held.borrow().len(), 1);
        until("the prototype ends", || stage.main.ended.get() == 1).await;
        assert_eq!(stage.get("/").await.0, 200, "the running one is untouched");
        stage.quit().await;
    });
}

#[test]
fn preparing_again_replaces_what_was_prepared() {
    on_stage(async |stage| {
        stage.prepare(&app("")).await.unwrap();
        stage.prepare(RETURN).await.unwrap();
        until("the first application ends", || stage.main.ended.get() == 1).await;
        stage.commit().await;
        assert_eq!(stage.get("/").await.0, 200);
        stage.quit().await;
    });
}

#[test]
fn refusals_say_why_and_leave_nothing() {
    on_stage(async |stage| {
        stage.apply(RETURN).await;
        let port = stage.tcp_port("@one");
        for (conf, text) in [
            (
                r#"{"listeners":{"@one":{"pass":"routes"},"127.0.0.1:@dup":{"pass":"routes"}},"routes":[]}"#
                    .replace("127.0.0.1:@dup", &format!("127.0.0.1:0{port}")),
                None,
            ),
            ("{".to_owned(), None),
            (
                r#"{"listeners":{"@one":{"pass":"routes"}},"routes":[{"action":{"proxy":"http://127.0.0.1:1"}}]}"#
                    .to_owned(),
                Some(r#"routes: "proxy" is not supported by this release"#),
            ),
            (
                r#"{"settings":{"telemetry":{"endpoint":"http://127.0.0.1:1","protocol":"http"}}}"#.to_owned(),
                Some("settings/telemetry: telemetry is not supported by this release"),
            ),
            (
                r#"{"listeners":{"127.0.0.1:1":{"pass":"routes","tls":{"certificate":"c"}}},"routes":[]}"#
                    .to_owned(),
                Some("listeners/127.0.0.1:1/tls: TLS is not supported by this release"),
            ),
            (
                app(r#","threads":2"#),
                Some("applications/a/threads: more than one thread is not supported by this release"),
            ),
        ] {
            let refused = stage.prepare(&conf).await.unwrap_err();
            if let Some(text) = text {
                assert_eq!(refused, text);
            }
        }
        *stage.main.refuse_listener.borrow_mut() = Some("bind(\\\"x\\\") failed (98: no)");
        let conf = RETURN.replace("@one", "@two");
        assert_eq!(stage.prepare(&conf).await.unwrap_err(), "bind(\"x\") failed (98: no)");
        assert_eq!(stage.main.held.borrow().len(), 1);
        assert_eq!(stage.get("/").await.0, 200);
        stage.quit().await;
    });
}

#[test]
fn an_application_that_does_not_start_leaves_the_current_configuration_to_the_others() {
    on_stage(async |stage| {
        let conf = app(r#","processes":2"#).replace(
            r#""listeners":{"#,
            r#""routes":[{"action":{"return":204}}],"listeners":{"@two":{"pass":"routes"},"#,
        );
        stage.board.die_at_start.store(true, Ordering::SeqCst);
        let json = stage.fill_in(&conf);
        prepare_as(&stage.controller, ConfigStage::Current, json).await.unwrap();
        stage.commit().await;
        assert_eq!(stage.main.held.borrow().len(), 2);
        assert_eq!(stage.get("/").await.0, 503);
        assert_eq!(stage.status().await.applications[0].running, 0);
        // It is tried again without anybody asking for it.
        stage.board.die_at_start.store(false, Ordering::SeqCst);
        stage
            .until_status("it has its processes", |status| status.applications[0].running == 2)
            .await;
        assert_eq!(stage.get("/").await.1, b"hello");
        stage.quit().await;
    });
}

#[test]
fn an_application_that_does_not_start_refuses_the_update() {
    on_stage(async |stage| {
        stage.apply(RETURN).await;
        let two = app(r#","processes":3"#).replace("@one", "@two");
        stage.board.die_at_start.store(true, Ordering::SeqCst);
        assert_eq!(
            stage.prepare(&two).await.unwrap_err(),
            "a process of application \"a\" ended while it started, see the log"
        );
        assert_eq!(stage.main.held.borrow().len(), 1);
        until("its prototype ends", || stage.main.ended.get() == stage.main.prototypes.get()).await;
        stage.board.die_at_start.store(false, Ordering::SeqCst);
        *stage.main.refuse_prototype.borrow_mut() = Some("no such user");
        assert_eq!(stage.prepare(&two).await.unwrap_err(), "no such user");
        *stage.main.refuse_prototype.borrow_mut() = None;
        stage.apply(&two).await;
        let status = stage.status().await;
        assert_eq!(status.applications[0].running, 3);
        assert_eq!(status.applications[0].idle, 3);
        stage.quit().await;
    });
}

#[test]
fn an_unchanged_application_keeps_its_processes() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        stage.apply(&app("").replace("@one", "@two")).await;
        assert_eq!(stage.main.prototypes.get(), 1);
        stage.apply(&app(r#","limits":{"timeout":5}"#)).await;
        assert_eq!(stage.main.prototypes.get(), 2);
        until("the old one ends", || stage.main.ended.get() == 1).await;
        assert_eq!(Board::get(&stage.board.running), 1);
        stage.quit().await;
    });
}

#[test]
fn a_request_is_served_by_the_configuration_it_began_with() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut client = stage.connect().await;
        client.send(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
        until("it is begun", || Board::get(&stage.board.begun) == 1).await;
        stage.apply(NOTHING).await;
        assert_eq!(stage.main.ended.get(), 0, "it is still needed");
        stage.board.released.store(true, Ordering::SeqCst);
        let response = client.response("GET").await.unwrap();
        assert_eq!(response.body, b"held");
        // http.md §10: it learns at once that the address is gone.
        let refusal = client.response("GET").await.unwrap();
        assert_eq!(refusal.status, 408);
        assert!(client.is_closed().await);
        until("the application ends", || stage.main.ended.get() == 1).await;
        stage.quit().await;
    });
}

/// The application has no process yet when it leaves; the request must not wait for ever.
#[test]
fn a_request_in_the_queue_of_a_leaving_application_is_served() {
    on_stage(async |stage| {
        stage.board.hold_at_start.store(true, Ordering::SeqCst);
        stage.apply(&app(r#","processes":{"spare":0}"#)).await;
        let mut client = stage.connect().await;
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        until("a process is being started", || Board::get(&stage.board.running) == 1).await;
        stage.apply(NOTHING).await;
        stage.board.hold_at_start.store(false, Ordering::SeqCst);
        assert_eq!(client.response("GET").await.unwrap().body, b"hello");
        until("the application ends", || stage.main.ended.get() == 1).await;
        stage.quit().await;
    });
}

#[test]
fn another_controller_takes_over_in_mid_update() {
    on_stage(async |mut stage| {
        stage.apply(RETURN).await;
        stage.board.hold_at_start.store(true, Ordering::SeqCst);
        let json = stage.fill_in(&app("").replace("@one", "@two"));
        let first = stage.controller.clone();
        let update = tokio::task::spawn_local(async move { prepare(&first, json).await });
        until("a process is being started", || Board::get(&stage.board.running) == 1).await;
        let second = stage.new_controller().await;
        let json = stage.fill_in(&RETURN.replace("@one", "@three"));
        let other = second.clone();
        let next = tokio::task::spawn_local(async move { prepare(&other, json).await });
        stage.board.hold_at_start.store(false, Ordering::SeqCst);
        update.await.unwrap().unwrap();
        next.await.unwrap().unwrap();
        stage.controller = second;
        stage.commit().await;
        until("what the first update started ends", || stage.main.ended.get() == 1).await;
        let mut client = stage.connect_to("@three").await;
        assert_eq!(client.get("/").await.0, 200);
        assert_eq!(stage.main.held.borrow().len(), 1);
        stage.quit().await;
    });
}

#[test]
fn restarting_replaces_the_processes_and_loses_nothing() {
    on_stage(async |stage| {
        stage.apply(&app(r#","processes":2"#)).await;
        let mut client = stage.connect().await;
        client.send(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
        until("it is begun", || Board::get(&stage.board.begun) == 1).await;
        let restart =
            |name: &str| stage.controller.request(RestartApplication { name: name.to_owned() });
        assert!(matches!(
            restart("b").await,
            Err(port_io::RequestError::Refused(RestartRefusal::Unknown))
        ));
        stage.board.released.store(true, Ordering::SeqCst);
        restart("a").await.unwrap();
        assert_eq!(client.response("GET").await.unwrap().body, b"held");
        until("the old prototype ends", || stage.main.ended.get() == 1).await;
        assert_eq!(stage.main.prototypes.get(), 2);
        let status = stage.status().await;
        assert_eq!(status.applications[0].running, 2);
        assert_eq!(client.get("/").await.1, b"hello");
        stage.quit().await;
    });
}

#[test]
fn a_restart_that_fails_keeps_the_old_processes() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        stage.board.die_at_start.store(true, Ordering::SeqCst);
        let name = "a".to_owned();
        stage.controller.request(RestartApplication { name }).await.unwrap();
        until("the new prototype ends", || stage.main.ended.get() == 1).await;
        assert_eq!(stage.get("/").await.1, b"hello");
        stage.tell_to_quit(Quit::Graceful);
        stage.has_ended().await;
    });
}

#[test]
fn more_loops_reach_the_workers_that_are_there() {
    on_stage(async |stage| {
        let conf = |threads: u32| {
            let text = app("");
            format!(r#"{{"settings":{{"listen_threads":{threads}}},{}"#, &text[1..])
        };
        stage.apply(&conf(1)).await;
        stage.apply(&conf(6)).await;
        stage.apply(&conf(2)).await;
        for _ in 0..20 {
            assert_eq!(stage.get("/").await.1, b"hello");
        }
        assert_eq!(Board::get(&stage.board.started), 1);
        assert_eq!(stage.status().await.applications[0].running, 1);
        stage.quit().await;
    });
}
