use std::collections::VecDeque;

use super::*;
use crate::net::peers::{
    retry::Flaw,
    visit::{NoPage, Visit},
};

const RETRIES: RetrySettings = RetrySettings {
    most: 2,
    share: 20,
    pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(1),
    longest_retry_after: Duration::ZERO,
};
const SECOND: Duration = Duration::from_secs(1);

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn peers_by(balance: Balance, texts: &[&str]) -> Peers {
    let names = texts.iter().map(|text| Arc::new(PeerName::parse(text, &[], now).unwrap())).collect();
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let policy = PeerPolicy {
        upstream: "people".to_owned(),
        balance,
        weights: vec![1; texts.len()],
        backups: 0,
        slow_start: Duration::ZERO,
        check: None,
        eject_after: 2,
        retries: RETRIES,
        budget: Arc::default(),
        slots: None,
        clock: now,
    };
    Peers::new(names, HttpPeer::new(nowhere, false, String::new()), None, policy)
}

fn peers(texts: &[&str]) -> Peers {
    peers_by(Balance::RoundRobin, texts)
}

const ALL: [&str; 3] = ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"];

/// Returns the peer that a new client request gets.
async fn chosen(peers: &Peers, key: u128, now: Instant) -> ChosenPeer {
    Visit::new(peers, key, true).next(now, SECOND).await.unwrap()
}

async fn next(peers: &Peers, now: Instant) -> String {
    chosen(peers, 0, now).await.request.address.to_string()
}

#[tokio::test]
async fn every_peer_has_its_turn() {
    let peers = peers(&ALL);
    for expected in ALL.iter().cycle().take(7) {
        assert_eq!(next(&peers, now()).await, *expected);
    }
    assert_eq!(peers.count(), 3);
}

/// A request that fails at one peer takes the next one, and the failed peer is skipped during its rest. With two peers,
/// turns among all peers would lead every other request back to the failed one.
#[tokio::test]
async fn a_peer_that_failed_is_passed_over_and_comes_back() {
    for count in 2..=3 {
        let (peers, start) = (peers(&ALL[..count]), now());
        let sick = chosen(&peers, 0, start).await;
        assert_eq!(sick.request.address.to_string(), ALL[0]);
        peers.unreached(&sick.request, "refused", start);
        assert_eq!((peers.resting(), peers.failures()), (1, 1));
        let mut shares = [0; 3];
        for _ in 0..60 {
            let chosen = next(&peers, start).await;
            shares[ALL.iter().position(|peer| *peer == chosen).unwrap()] += 1;
        }
        assert_eq!(shares[0], 0);
        assert!(shares[1..count].iter().all(|share| *share == 60 / (count - 1)), "{shares:?}");

        let later = start + SECOND;
        let trial = chosen(&peers, 0, later).await;
        assert_eq!(trial.request.address, sick.request.address, "one request tries it");
        assert_ne!(trial.http.group_key, sick.http.group_key, "on a connection of its own");
        assert_ne!(next(&peers, later).await, ALL[0], "and no other meanwhile");
        peers.reached(&sick.request, later);
        assert_eq!(peers.resting(), 0);
        let again: Vec<_> = [next(&peers, later).await, next(&peers, later).await, next(&peers, later).await].into();
        assert!(again.iter().any(|peer| peer == ALL[0]), "{again:?}");
    }
}

#[tokio::test]
async fn each_trial_has_a_pool_of_its_own() {
    let (peers, start) = (peers(&ALL[..2]), now());
    let usual = chosen(&peers, 0, start).await;
    let mut pools = vec![usual.http.group_key];
    for minutes in 1..4 {
        let failed = start + SECOND * 60 * minutes;
        peers.unreached(&usual.request, "refused", failed);
        let trial = chosen(&peers, 0, failed + SECOND * 50).await;
        assert_eq!(trial.request.address, usual.request.address);
        pools.push(trial.http.group_key);
    }
    // A request for a new connection flips the last bit.
    pools.extend(pools.clone().iter().map(|key| key ^ 1));
    pools.sort_unstable();
    pools.dedup();
    assert_eq!(pools.len(), 8, "{pools:x?}");
}

/// After one lost connection, no request waits for another one of the same pool.
#[tokio::test]
async fn an_abandoned_pool_is_used_no_more() {
    let (peers, now) = (peers(&ALL[..2]), now());
    let (lost, other) = (chosen(&peers, 0, now).await, chosen(&peers, 0, now).await);
    assert!(lost.request.abandon_pool(now));
    assert!(!lost.request.abandon_pool(now), "it is told once");
    let (renewed, same) = (chosen(&peers, 0, now).await, chosen(&peers, 0, now).await);
    assert_eq!(renewed.request.address, lost.request.address);
    assert_ne!(renewed.http.group_key, lost.http.group_key);
    assert_eq!(same.http.group_key, other.http.group_key, "the pool of the other peer stays");
}

/// If no peer is healthy, all are used in turn, because one of them may be back.
#[tokio::test]
async fn all_peers_are_used_in_turn_while_all_rest() {
    let (peers, start) = (peers(&ALL[..2]), now());
    for _ in 0..2 {
        peers.unreached(&chosen(&peers, 0, start).await.request, "refused", start);
    }
    assert_eq!(peers.resting(), 2);
    assert_ne!(next(&peers, start).await, next(&peers, start).await);
}

#[tokio::test]
async fn a_visit_stays_at_its_peer_until_that_fails_it() {
    let (peers, now) = (peers(&ALL), now());
    let visit = Visit::new(&peers, 0, true);
    for _ in 0..3 {
        assert_eq!(visit.next(now, SECOND).await.unwrap().request.address.to_string(), ALL[0]);
    }
    let failed = visit.next(now, SECOND).await.unwrap();
    visit.failed(&failed.request, Flaw::Late, now);
    let second = visit.next(now, SECOND).await.unwrap().request.address;
    assert_ne!(second.to_string(), ALL[0]);
    assert_eq!(visit.next(now, SECOND).await.unwrap().request.address, second, "and stays there");
    assert!(!failed.request.health.is_unhealthy(), "one failed answer says little of a peer");
}

#[tokio::test]
async fn at_most_half_of_the_peers_rest_for_failed_answers() {
    for (count, most) in [(1, 0), (2, 1), (3, 1)] {
        let (peers, now) = (peers(&ALL[..count]), now());
        for peer in peers.all() {
            for _ in 0..5 {
                peers.failed(&peer, "status 500", now);
            }
        }
        assert_eq!(peers.resting(), most, "of {count}");
    }
}

#[tokio::test]
async fn the_peer_with_the_fewest_requests_is_next() {
    let (peers, now) = (peers_by(Balance::LeastRequests, &ALL), now());
    let first = chosen(&peers, 0, now).await;
    let second = chosen(&peers, 0, now).await;
    let third = chosen(&peers, 0, now).await;
    let all: std::collections::BTreeSet<SocketAddr> =
        [&first, &second, &third].iter().map(|chosen| chosen.request.address).collect();
    assert_eq!(all.len(), 3, "equal ones in turn");
    let free = second.request.address;
    drop(second);
    assert_eq!(chosen(&peers, 0, now).await.request.address, free);
    assert_eq!(peers.all().iter().map(|peer| peer.in_flight()).sum::<usize>(), 2);
    drop((first, third));
}

#[tokio::test]
async fn a_hash_moves_only_the_keys_of_a_peer_that_falls_out() {
    let (peers, now) = (peers_by(Balance::Hash, &ALL), now());
    let mut before = Vec::new();
    for key in 0..300 {
        let one = chosen(&peers, key, now).await.request.address;
        assert_eq!(chosen(&peers, key, now).await.request.address, one);
        before.push(one);
    }
    let sick = peers.all()[1].clone();
    let share = before.iter().filter(|address| **address == sick.address).count();
    assert!((60..=140).contains(&share), "{share} of 300");
    peers.unreached(&sick, "refused", now);
    for (key, known) in before.iter().enumerate() {
        let moved = chosen(&peers, key as u128, now).await.request.address;
        assert_eq!(moved == *known, *known != sick.address, "key {key}");
    }
}

#[tokio::test]
async fn retries_are_bounded_by_number_time_and_budget() {
    let (peers, now) = (peers(&ALL), now());
    let later = now + SECOND;
    let write = Visit::new(&peers, 0, false);
    assert_eq!(write.retry(Flaw::Broken, now, later), None, "a write is sent once");
    let visit = Visit::new(&peers, 0, true);
    assert_eq!(visit.retry(Flaw::Broken, now, now), None, "no time is left");
    assert!(visit.retry(Flaw::Broken, now, later).is_some() && visit.retry(Flaw::Broken, now, later).is_some());
    assert_eq!(visit.retry(Flaw::Broken, now, later), None, "both retries are spent");
    assert_eq!(visit.retries(), 2);
    let retries = (0..100).filter(|_| Visit::new(&peers, 0, true).retry(Flaw::Broken, now, later).is_some()).count();
    assert_eq!(retries, 8, "the reserve without the first two");
}

/// Makes a page as far as the peers allow, and returns the peers that were asked, by their numbers.
async fn page_from(visit: &Visit<'_>, now: Instant, gives: impl Fn(usize) -> Result<(), NoPage>) -> Vec<usize> {
    let mut asked = Vec::new();
    loop {
        visit.begins();
        let chosen = visit.next(now, SECOND).await.unwrap();
        let number = ALL.iter().position(|peer| *peer == chosen.request.address.to_string()).unwrap();
        asked.push(number);
        visit.uses(&chosen.request);
        match gives(number) {
            Ok(()) => {
                visit.served();
                return asked;
            }
            Err(reason) => visit.no_page(reason),
        }
        if visit.again(now, now + SECOND).is_none() {
            return asked;
        }
    }
}

#[tokio::test]
async fn a_peer_differs_if_another_one_gives_its_page() {
    let differs = || Err(NoPage::Differs("it differs".to_owned()));
    let now = now();
    let judged = |peers| Visit::new(peers, 0, true).judging();
    let failures = |peers: &Peers| peers.all().iter().map(|peer| peer.counts().failures).collect::<Vec<_>>();

    let one = peers(&ALL);
    let asked = page_from(&judged(&one), now, |peer| if peer == 0 { differs() } else { Ok(()) }).await;
    assert_eq!((asked, failures(&one)), (vec![0, 2], vec![1, 0, 0]));
    assert_eq!(one.all()[0].last_remark().unwrap().1, "it differs");
    // In turn, the next page begins at the first peer again.
    one.turn.store(0, Ordering::Relaxed);
    page_from(&judged(&one), now, |peer| if peer == 0 { differs() } else { Ok(()) }).await;
    assert!(one.all()[0].health.is_unhealthy(), "twice in a row");

    let all = peers(&ALL);
    assert_eq!(page_from(&judged(&all), now, |_| differs()).await, [0, 2, 1]);
    assert_eq!(failures(&all), [0; 3], "no peer gives the page");

    let tokens = peers(&ALL);
    let asked =
        page_from(&judged(&tokens), now, |peer| if peer != 1 { Err(NoPage::UnknownToken) } else { Ok(()) }).await;
    assert_eq!((asked, failures(&tokens)), (vec![0, 2, 1], vec![0; 3]), "a token is known where it was made");
}

/// A peer whose answers were mixed with those of another one isn't blamed, and may give the page alone.
#[tokio::test]
async fn a_page_of_two_peers_blames_none() {
    let (peers, now) = (peers(&ALL[..2]), now());
    let visit = Visit::new(&peers, 0, true).judging();
    let first = visit.next(now, SECOND).await.unwrap();
    visit.uses(&first.request);
    visit.failed(&first.request, Flaw::Broken, now);
    let second = visit.next(now, SECOND).await.unwrap();
    visit.uses(&second.request);
    visit.no_page(NoPage::Differs("mixed".to_owned()));
    assert!(visit.again(now, now + SECOND).is_some());
    let alone = visit.next(now, SECOND).await.unwrap();
    assert_eq!(alone.request.address, second.request.address);
    visit.uses(&alone.request);
    assert!(visit.served().is_empty());
    assert_eq!(peers.all()[1].counts().failures, 0);
}

/// Pages that are made again are paid from the budget by their requests, so they are at most its share of all requests.
#[tokio::test]
async fn pages_that_are_made_again_are_a_share_of_the_requests() {
    let (peers, now) = (peers(&ALL), now());
    let mut requests = 0;
    for _ in 0..200 {
        let visit = Visit::new(&peers, 0, true).judging();
        loop {
            for _ in 0..8 {
                visit.begins();
                requests += 1;
            }
            let chosen = visit.next(now, SECOND).await.unwrap();
            visit.uses(&chosen.request);
            visit.no_page(NoPage::Differs("small pages".to_owned()));
            if visit.again(now, now + SECOND).is_none() {
                break;
            }
        }
    }
    let again = peers.budget().made();
    assert!(again > 200 && again <= 10 + 16 + (requests - again) / 5, "{again} of {requests}");
    assert!(peers.budget().refused() > 0);
}

#[tokio::test]
async fn the_host_is_the_name_of_the_certificate_unless_another_is_said() {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    for (said, expected) in [("", "localhost"), ("people.example", "people.example")] {
        let name = Arc::new(PeerName::parse("localhost:443", &[], now).unwrap());
        let policy = peers(&[]).policy;
        let peers = Peers::new(vec![name], HttpPeer::new(nowhere, true, said.to_owned()), None, policy);
        assert_eq!(chosen(&peers, 0, now()).await.http.sni, expected);
    }
}

/// Returns peers with other settings of their policy.
fn peers_with(balance: Balance, texts: &[&str], change: impl FnOnce(&mut PeerPolicy)) -> Peers {
    let mut peers = peers_by(balance, texts);
    change(&mut peers.policy);
    peers
}

/// Returns the number of requests that each of [`ALL`] gets of 400 with different keys, of which the last `most` are in
/// flight.
async fn shares(peers: &Peers, most: usize, now: Instant) -> [usize; 3] {
    let mut shares = [0; 3];
    let mut held = VecDeque::new();
    for key in 0..400 {
        let peer = chosen(peers, key, now).await;
        let text = peer.request.address.to_string();
        shares[ALL.iter().position(|known| *known == text).unwrap()] += 1;
        held.push_back(peer);
        if held.len() > most {
            held.pop_front();
        }
    }
    shares
}

#[tokio::test]
async fn peers_get_requests_by_their_weights() {
    for balance in [Balance::RoundRobin, Balance::LeastRequests, Balance::Hash] {
        for in_flight in [0, 1, 400] {
            let peers = peers_with(balance, &ALL, |policy| policy.weights = vec![2, 1, 1]);
            let shares = shares(&peers, in_flight, now()).await;
            // With one in flight, the peer that has it isn't among those with the fewest.
            let most = if in_flight == 1 { 60 } else { 30 };
            let is_fair = shares[0].abs_diff(200) <= most && shares[1].abs_diff(100) <= most;
            assert!(is_fair, "{balance:?} with {in_flight} in flight: {shares:?}");
        }
    }
}

#[tokio::test]
async fn a_peer_that_is_healthy_again_gets_more_and_more_requests() {
    let begin = now();
    let peers = peers_with(Balance::RoundRobin, &ALL, |policy| policy.slow_start = SECOND * 100);
    let later = begin + SECOND * 1_000;
    let peer = peers.all().remove(0);
    peers.unreached(&peer, "it was restarted", later);
    peers.reached(&peer, later + SECOND);
    let at = async |seconds: u32| shares(&peers, 0, later + SECOND + SECOND * seconds).await[0];
    let (first, half, whole) = (at(0).await, at(50).await, at(100).await);
    assert!(first.abs_diff(19) <= 8 && half.abs_diff(80) <= 12 && whole.abs_diff(133) <= 2, "{first} {half} {whole}");
}

#[tokio::test]
async fn a_backup_is_used_while_no_other_peer_is_healthy() {
    let peers = peers_with(Balance::RoundRobin, &ALL, |policy| policy.backups = 1);
    let begin = now();
    assert_eq!(shares(&peers, 0, begin).await, [200, 200, 0]);
    let all = peers.all();
    peers.unreached(&all[0], "it is away", begin);
    assert_eq!(shares(&peers, 0, begin).await, [0, 400, 0]);
    peers.unreached(&all[1], "it is away", begin);
    assert_eq!(shares(&peers, 0, begin).await, [0, 0, 400]);
    peers.reached(&all[1], begin);
    assert_eq!(shares(&peers, 0, begin).await, [0, 400, 0]);
    // A request that the others failed takes the backup.
    let visit = Visit::new(&peers, 0, true);
    let first = visit.next(begin, SECOND).await.unwrap();
    visit.leaves(&first.request);
    assert_eq!(visit.next(begin, SECOND).await.unwrap().request.address.to_string(), ALL[2]);
}
