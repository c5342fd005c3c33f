//! Latency, jitter, loss and bandwidth of one direction, in virtual time and
//! the same for the same seed. Order is kept, as LTE's RLC keeps it.

use std::collections::VecDeque;
use std::time::Duration;

/// Bytes that wait for the line at most; what comes on top is lost, as in a
/// modem's buffer.
const QUEUE: u64 = 256 << 10;
/// So many may wait before a far end is asked to: 13 ms at 10 Mbit/s.
const AMPLE: u64 = QUEUE / 16;
/// Bytes on the way at most, sent but not through: 1 s at 128 Mbit/s.
const FLYING: usize = 16 << 20;

/// What to do to packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    /// Delay in ms.
    pub latency_ms: u32,
    /// At most this much more, in ms.
    pub jitter_ms: u32,
    /// Lost of a thousand.
    pub loss_permille: u16,
    /// Rate in kbit/s.
    pub kbit: Option<u32>,
}

/// One direction.
#[derive(Debug)]
pub struct Shaper {
    /// What to do to packets that come from now on.
    pub shape: Shape,
    random: u64,
    /// When the line is free again.
    free: Duration,
    queue: VecDeque<(Duration, Vec<u8>)>,
    bytes: usize,
}

impl Shaper {
    /// A line without fault.
    pub fn new(seed: u64) -> Self {
        // xorshift's state must not be 0.
        let random = seed ^ 0x9e37_79b9_7f4a_7c15;
        let random = if random == 0 { 1 } else { random };
        let (free, queue) = (Duration::ZERO, VecDeque::new());
        Self { shape: Shape::default(), random, free, queue, bytes: 0 }
    }

    /// xorshift64 (Marsaglia 2003).
    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    /// A packet comes.
    pub fn push(&mut self, now: Duration, packet: Vec<u8>) {
        let lost = self.random(1000) < u64::from(self.shape.loss_permille);
        let full = self.waiting(now) + packet.len() as u64 > QUEUE;
        if lost || full || self.bytes + packet.len() > FLYING {
            return;
        }
        let start = self.free.max(now);
        let bits = packet.len() as u64 * 8;
        // kbit/s is bits per ms: 1000 µs per that many.
        let sending = self.shape.kbit.map_or(0, |kbit| bits * 1000 / u64::from(kbit.max(1)));
        self.free = start + Duration::from_micros(sending);
        let jitter = self.random(u64::from(self.shape.jitter_ms) + 1);
        let delay = Duration::from_millis(u64::from(self.shape.latency_ms) + jitter);
        let before = self.queue.back().map_or(Duration::ZERO, |(at, _)| *at);
        self.bytes += packet.len();
        self.queue.push_back(((self.free + delay).max(before), packet));
    }

    /// Bytes that wait for the line.
    fn waiting(&self, now: Duration) -> u64 {
        let Some(kbit) = self.shape.kbit else { return 0 };
        let ms = self.free.saturating_sub(now).as_millis();
        // kbit/s is bits per ms.
        u64::try_from(ms).unwrap_or(u64::MAX).saturating_mul(u64::from(kbit)) / 8
    }

    /// Whether there is ample room.
    pub fn takes(&self, now: Duration) -> bool {
        self.waiting(now) < AMPLE && self.bytes < FLYING / 2
    }

    /// The next packet that is through by `now`.
    pub fn pop(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.next_event()? > now {
            return None;
        }
        let (_, packet) = self.queue.pop_front()?;
        self.bytes -= packet.len();
        Some(packet)
    }

    /// When the next packet is through.
    pub fn next_event(&self) -> Option<Duration> {
        self.queue.front().map(|(at, _)| *at)
    }

    /// Forgets what is under way.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(shape: Shape, seed: u64, count: u32) -> Vec<(Duration, Vec<u8>)> {
        let mut shaper = Shaper { shape, ..Shaper::new(seed) };
        for number in 0..count {
            shaper.push(Duration::ZERO, number.to_be_bytes().repeat(25));
        }
        std::iter::from_fn(|| {
            let at = shaper.next_event()?;
            Some((at, shaper.pop(at)?))
        })
        .collect()
    }

    #[test]
    fn rate_and_latency_are_kept() {
        // 100 bytes at 8 kbit/s are 100 ms.
        let shape = Shape { latency_ms: 30, kbit: Some(8), ..Shape::default() };
        let times: Vec<_> = arrivals(shape, 1, 3).iter().map(|(at, _)| at.as_millis()).collect();
        assert_eq!(times, [130, 230, 330]);
    }

    #[test]
    fn loss_is_about_right_order_is_kept_and_a_seed_repeats() {
        let shape = Shape { jitter_ms: 50, loss_permille: 200, ..Shape::default() };
        let found = arrivals(shape, 7, 2000);
        assert!((1500..1700).contains(&found.len()), "{}", found.len());
        assert!(found.is_sorted());
        assert!(found.windows(2).all(|pair| pair[0].1 < pair[1].1), "order");
        assert_eq!(found, arrivals(shape, 7, 2000));
        assert_ne!(found, arrivals(shape, 8, 2000));
    }
}
