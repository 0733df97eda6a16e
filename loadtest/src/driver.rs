//! The loops: closed, where each connection sends when it was answered, and open, where each request
//! has its time whether or not those before it were answered.
//!
//! One thread. What is late in the open loop counts from the time at which it was to be sent, so
//! that a slow door hides nothing (coordinated omission).

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::bail;
use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::{
    alarm::Alarm, exchange::Connection, histogram::Histogram, progress::Progress, request::Target,
};

/// How long what is due at the end may still take to be sent.
const GRACE: Duration = Duration::from_secs(1);

/// Requests of the open loop that may be left over, of a thousand; with more the rate was not held.
const LEFT_OVER_MAX: u64 = 10;

/// How it is driven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// Events a second of the open loop; the closed one without.
    pub(crate) rate: Option<u32>,
    /// The closed loop ends after so many, if that is earlier.
    pub(crate) events: Option<u64>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Driven {
    pub(crate) events: u64,
    pub(crate) took: Duration,
    /// Of each request.
    pub(crate) latencies: Histogram,
    /// Events that were answered in each second.
    pub(crate) seconds: Vec<u64>,
}

/// What all connections share.
struct Run<'a> {
    target: &'a Target,
    began: Instant,
    /// When it was in the time of all processes.
    began_micros: u64,
    until: Instant,
    schedule: Option<Schedule>,
    /// Events that may be sent still.
    left: Cell<u64>,
    number: u32,
    events: Rc<Cell<u64>>,
    driven: RefCell<Driven>,
}

/// The open loop's requests.
struct Schedule {
    /// Between one request and the next.
    every: Duration,
    requests: u64,
    next: Cell<u64>,
}

/// Drives for so long and fails on the first answer that is no 2xx.
pub(crate) async fn drive(target: &Target, pace: &Pace, says: &str) -> anyhow::Result<Driven> {
    let mut connections = Vec::new();
    for _ in 0..pace.connections {
        connections.push(Connection::open(target.address).await?);
    }
    let began = Instant::now();
    let began_micros = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let run = Run {
        target,
        began,
        began_micros: u64::try_from(began_micros)?,
        until: began + pace.time,
        schedule: pace
            .rate
            .map(|rate| schedule(rate, target.events(), pace.time)),
        left: Cell::new(pace.events.unwrap_or(u64::MAX)),
        number: fastrand::u32(..),
        events: Rc::default(),
        driven: RefCell::default(),
    };
    let progress = Progress::start(says, pace.time, Rc::clone(&run.events));
    let each = connections.into_iter().enumerate();
    let each = each.map(|(number, connection)| run.one(number, connection));
    let ended = try_join_all(each).await;
    progress.end();
    ended?;
    if let Some(schedule) = &run.schedule {
        let left = schedule.requests.saturating_sub(schedule.next.get());
        if left * 1_000 > schedule.requests * LEFT_OVER_MAX {
            bail!(
                "the run is void: {left} of {} requests were not sent in time, the rate is not held",
                schedule.requests
            );
        }
    }
    let mut driven = run.driven.into_inner();
    driven.took = began.elapsed();
    Ok(driven)
}

fn schedule(rate: u32, events: u64, time: Duration) -> Schedule {
    let every = Duration::from_secs(1).mul_f64(events as f64 / f64::from(rate));
    Schedule {
        every,
        requests: (time.as_secs_f64() / every.as_secs_f64()) as u64,
        next: Cell::new(0),
    }
}

impl Run<'_> {
    async fn one(&self, number: usize, mut connection: Connection) -> anyhow::Result<()> {
        let mut requests = self.target.requests(self.number, number);
        let alarm = Alarm::new()?;
        while let Some(scheduled) = self.next(&alarm).await? {
            let since = u64::try_from((scheduled - self.began).as_micros())?;
            let (request, events) = requests.next(self.began_micros + since);
            connection.exchange(request).await?;
            self.answered(scheduled, events);
        }
        Ok(())
    }

    /// Waits for the time of the next request; none when it is enough.
    async fn next(&self, alarm: &Alarm) -> anyhow::Result<Option<Instant>> {
        let Some(schedule) = &self.schedule else {
            let left = self.left.get().checked_sub(self.target.events());
            let (Some(left), now) = (left, Instant::now()) else {
                return Ok(None);
            };
            self.left.set(left);
            return Ok((now < self.until).then_some(now));
        };
        let number = schedule.next.get();
        if number >= schedule.requests || Instant::now() > self.until + GRACE {
            return Ok(None);
        }
        schedule.next.set(number + 1);
        let time = self.began + schedule.every.mul_f64(number as f64);
        alarm.until(time).await?;
        Ok(Some(time))
    }

    fn answered(&self, scheduled: Instant, events: u64) {
        let now = Instant::now();
        let mut driven = self.driven.borrow_mut();
        driven.events += events;
        let took = (now - scheduled).as_micros();
        driven
            .latencies
            .add(u64::try_from(took).unwrap_or(u64::MAX));
        let second = (now - self.began).as_secs() as usize;
        if driven.seconds.len() <= second {
            driven.seconds.resize(second + 1, 0);
        }
        if let Some(count) = driven.seconds.get_mut(second) {
            *count += events;
        }
        self.events.set(driven.events);
    }
}
