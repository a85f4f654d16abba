//! What this process took of its machine, so that speeds can be told beside other load.

/// Seconds of a processor that all threads of this process have taken; none where `/proc` does not say it.
pub fn seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name in parentheses the 12th and 13th field are user and system time, in ticks of 10 ms.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_time_of_a_processor() {
        let begin = seconds().expect("/proc says it");
        let mut sum = 0u64;
        while seconds().expect("/proc says it") < begin + 0.02 {
            sum = (0..100_000u64).fold(sum, |sum, one| std::hint::black_box(sum ^ one));
        }
    }
}
