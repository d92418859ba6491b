//! Updates that replace all tasks of the service.

use super::*;

#[test]
fn an_update_is_complete_when_every_seat_is_new_and_the_former_tasks_have_finished() {
    let mut bench = three();
    bench.order(image(ReplaceTarget::All, &ReplaceOptions::default()));
    let image = Some("web:2".to_owned());
    assert_eq!(bench.changes(), [ServiceChange::Replace(image.clone())]);
    bench.written(5, 1);
    let progress = bench.plan.replacement().expect("one");
    assert_eq!((progress.version, progress.total), (image, 3));
    let mut tasks = vec![(1, 1, Runs), (2, 2, Runs), (3, 3, Runs)];
    for (number, slot) in [(4, 1), (5, 2), (6, 3)] {
        // Each progress has its own time.
        bench.after(19 * SEC);
        tasks.push((number, slot, Runs));
        let updated = |seen: &mut ServiceSnapshot| {
            let new = seen.tasks.values_mut().skip(3);
            new.for_each(|task| task.generation = 1);
        };
        assert_eq!(bench.sees(5, &tasks, updated), None);
        bench.probe(ReplicaId(u64::from(number)), ProbeEvent::Answered);
        assert_eq!(bench.answer(), None);
    }
    for id in [S1, S2] {
        bench.feed(Input::Drained(id));
        bench.gone(id);
    }
    assert_eq!(bench.answer(), None, "S3 finishes its requests");
    assert_eq!(bench.plan.replacement().expect("one").done, 3);
    bench.feed(Input::Drained(S3));
    bench.gone(S3);
    assert_eq!(bench.answer(), Some(Ok(names("S1 S2 S3"))));
    assert_eq!(bench.plan.replacement(), None);
}

#[test]
fn an_update_that_the_swarm_stops_or_that_stands_still_is_told() {
    let all = || Order::Replace(ReplaceRequest::same_version(ReplaceTarget::All));
    let mut bench = three();
    bench.order(all());
    bench.written(5, 1);
    let stopped = |seen: &mut ServiceSnapshot| {
        seen.stopped_update = Some("update paused due to failure".to_owned());
    };
    assert_eq!(bench.sees(4, &FOUR[..3], stopped), None, "that was another");
    let answer = bench.sees(5, &FOUR[..3], stopped);
    let sentence = "the swarm has stopped the update: update paused due to failure";
    assert_eq!(answer, Some(Err(OrderError::unavailable(sentence))));
    bench.order(all());
    bench.written(6, 2);
    bench.sees(6, &FOUR[..3], |seen| seen.update_delay = 60 * SEC);
    bench.after(80 * SEC - MS);
    assert_eq!(bench.answer(), None);
    bench.after(MS);
    let refusal = bench.answer().expect("an answer").unwrap_err();
    let sentence = "0 of 3 replicas are new, and no other one came within 80s";
    assert!(refusal.sentence.starts_with(sentence), "{refusal:?}");
}
