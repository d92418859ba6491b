//! Panics: that of a session ends the session alone, that of a background task ends its worker.

use super::*;
use tokio::sync::Semaphore;

#[test]
fn a_panicking_session_ends_alone_and_gives_its_permit_back() {
    let runtime = Builder::new_current_thread()
        .build_local(LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let worker = Rc::new(Worker::without_replicas());
        let permits = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&permits).try_acquire_owned().unwrap();
        spawn(&worker, Some(permit.into()), |guard| async move {
            let _held = guard;
            panic!("on purpose");
        });
        worker.sessions_end().await;
        assert_eq!(permits.available_permits(), 1);
    });
}

#[test]
fn a_worker_ends_with_an_error_when_a_background_task_panics() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let worker = Rc::new(Worker::without_replicas());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (_trigger, shutdown) = crate::shutdown::channel();
        let mut background = JoinSet::new();
        background.spawn_local(async {});
        background.spawn_local(async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        });
        let slots = Arc::new(ClientSlots::new(1, 1));
        let stops = (shutdown.clone(), shutdown);
        let (_open, opened) = watch::channel(true);
        let gate = GatedListener {
            listener: ListeningSockets {
                tcp: Some(listener),
                unix: None,
            },
            opened,
        };
        let work = run_worker(&worker, gate, background, slots, stops);
        let end = timeout(Duration::from_secs(10), work).await;
        let err = end.expect("its end in time").unwrap_err();
        assert!(err.to_string().contains("panicked"), "{err}");
    });
}
