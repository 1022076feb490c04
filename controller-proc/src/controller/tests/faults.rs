//! Routers that are lost, a main that ends, clients that misbehave.

use super::*;

#[tokio::test]
async fn an_update_whose_router_is_lost_fails_and_the_next_router_gets_the_old_one() {
    with_router(r#"{"routes":[]}"#, |daemon, router| async move {
        router.script.borrow_mut().hold = Some("prepare");
        let update = daemon.begin("PUT", "/config", "{}").await;
        router.holds().await;
        daemon.lose(router);
        assert_eq!(
            update.await.unwrap().brief(),
            r#"500 {"error":"Failed to apply new configuration.","detail":"the router process ended"}"#
        );
        let status = daemon.begin("GET", "/status/requests/total", "").await;
        let router = daemon.introduce(2).await;
        assert_eq!(status.await.unwrap().brief(), "200 0");
        assert_eq!(router.heard(), [r#"prepare {"routes":[]}"#, "commit", "status"]);
        assert_eq!(daemon.main.stored(), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_stored_update_whose_router_is_lost_succeeds_with_the_next() {
    with_router(r#"{"routes":[]}"#, |daemon, router| async move {
        router.script.borrow_mut().hold = Some("commit");
        let update = daemon.begin("PUT", "/config", "{}").await;
        // The first commit was that of the stored configuration.
        router.holds().await;
        daemon.lose(router);
        assert_eq!(daemon.main.stored(), ["{}"]);
        let router = daemon.introduce(2).await;
        assert_eq!(update.await.unwrap().brief(), DONE);
        assert_eq!(router.heard(), ["prepare {}", "commit"]);
        assert_eq!(daemon.brief("GET", "/config", "").await, "200 {}");
    })
    .await;
}

#[tokio::test]
async fn a_router_lost_while_main_stores_does_not_lose_the_update() {
    with_router(r#"{"routes":[]}"#, |daemon, router| async move {
        daemon.main.hold.replace(true);
        let update = daemon.begin("PUT", "/config", "{}").await;
        daemon.main.holds().await;
        daemon.lose(router);
        let router = daemon.introduce(2).await;
        daemon.main.release();
        assert_eq!(update.await.unwrap().brief(), DONE);
        assert_eq!(router.heard(), ["prepare {}", "commit"]);
    })
    .await;
}

#[tokio::test]
async fn a_hundred_lost_routers_change_nothing() {
    with_router(r#"{"routes":[]}"#, |daemon, router| async move {
        let mut router = router;
        for generation in 2..100 {
            daemon.lose(router);
            router = daemon.introduce(generation).await;
            router.hears("commit").await;
        }
        assert_eq!(daemon.brief("GET", "/config", "").await, r#"200 {"routes":[]}"#);
        assert_eq!(daemon.brief("PUT", "/config", "{}").await, DONE);
    })
    .await;
}

#[tokio::test]
async fn a_router_may_be_replaced_before_its_loss_is_told() {
    with_router(r#"{"routes":[]}"#, |daemon, router| async move {
        let old = router.identity;
        let next = daemon.introduce(2).await;
        next.hears("commit").await;
        daemon.main.tell(MainToController::PeerLost(PeerLost { peer: old }));
        assert_eq!(daemon.brief("PUT", "/config", "{}").await, DONE);
        assert!(next.heard().contains(&"prepare {}".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn without_main_there_is_no_controller() {
    with_api("{}", |daemon| async move {
        daemon.main.end();
        let daemon = Rc::into_inner(daemon).unwrap();
        let outcome = daemon.controller.await.unwrap();
        assert!(matches!(outcome, Err(ServeError::MainLost)));
    })
    .await;
}

#[tokio::test]
async fn a_router_that_closes_its_port_and_goes_on_ends_the_controller() {
    with_router("{}", |daemon, router| async move {
        daemon.brief("GET", "/config", "").await;
        drop(router);
        tokio::time::pause();
        let daemon = Rc::into_inner(daemon).unwrap();
        let outcome = daemon.controller.await.unwrap();
        assert!(matches!(outcome, Err(ServeError::RouterStranded)));
    })
    .await;
}

#[tokio::test]
async fn an_ending_controller_finishes_what_it_has_begun() {
    for quit in [Quit::Fast, Quit::Graceful] {
        with_router(r#"{"routes":[]}"#, |daemon, router| async move {
            let _idle = daemon.connect().await;
            router.script.borrow_mut().hold = Some("commit");
            let update = daemon.begin("PUT", "/config", "{}").await;
            let waiting = daemon.begin("PUT", "/config/settings", "{}").await;
            router.holds().await;
            daemon.main.tell(MainToController::Quit(quit));
            assert_eq!(
                waiting.await.unwrap().brief(),
                r#"500 {"error":"Failed to apply new configuration.","detail":"the daemon is stopping"}"#
            );
            router.release(Ok(()));
            assert_eq!(update.await.unwrap().brief(), DONE);
            let daemon = Rc::into_inner(daemon).unwrap();
            assert!(daemon.controller.await.unwrap().is_ok());
        })
        .await;
    }
}

#[tokio::test]
async fn an_ending_controller_does_not_wait_for_ever() {
    with_router("{}", |daemon, router| async move {
        router.script.borrow_mut().hold = Some("prepare");
        let update = daemon.begin("PUT", "/config", "{}").await;
        router.holds().await;
        daemon.main.tell(MainToController::Quit(Quit::Graceful));
        daemon.main.tell(MainToController::Quit(Quit::Fast));
        update.abort();
        let _ = update.await;
        let daemon = Rc::into_inner(daemon).unwrap();
        let outcome = timeout(Duration::from_secs(5), daemon.controller).await;
        assert!(outcome.unwrap().unwrap().is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_controller_may_be_stopped_before_it_is_set_up() {
    in_time(async {
        let (ours, theirs) = bootstrap::pair().unwrap();
        let controller = spawn_local(async move {
            let (me, _, to_main, from_main) = bootstrap::accept(theirs, Role::Controller).await?;
            serve(me, to_main, from_main, Limits::default()).await
        });
        let me = identity(Role::Controller, 1);
        let main = FakeMain::connect(ours, identity(Role::Main, 1), me).await;
        main.tell(MainToController::Quit(Quit::Fast));
        assert!(controller.await.unwrap().is_ok());
    })
    .await;
}

#[tokio::test]
async fn many_clients_that_say_nothing_do_not_keep_others_out() {
    with_api("{}", |daemon| async move {
        let mut silent = Vec::new();
        for _ in 0..200 {
            let mut stream = daemon.connect().await;
            stream.write_all(b"PUT /config HTTP/1.1\r\nContent-Length: 9\r\n\r\n{").await.unwrap();
            silent.push(stream);
        }
        assert_eq!(daemon.brief("PUT", "/config", "{}").await, DONE);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_still_sends_can_read_its_answer() {
    with_api("{}", |daemon| async move {
        let mut stream = daemon.connect().await;
        stream
            .write_all(b"PUT /config HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n")
            .await
            .unwrap();
        let body = vec![b' '; 1 << 20];
        for _ in 0..4 {
            stream.write_all(&body).await.unwrap();
        }
        assert!(read_answer(stream).await.brief().starts_with("413 "));
    })
    .await;
}
