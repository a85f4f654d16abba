//! What things cost; run with `--ignored --nocapture`.

use std::fs;
use std::time::Instant;

use super::*;

const FILES: usize = 5_000;

#[test]
#[ignore = "a measurement"]
fn five_thousand_files() {
    let world = World::new();
    for number in 0..FILES {
        world.write(&format!("{}/{}/{number}", number % 10, number % 100), &format!("{number}").repeat(500));
    }
    let_stamps_age();
    let measure = |what: &str, work: &mut dyn FnMut() -> String| {
        let began = Instant::now();
        let said = work();
        println!("{what}: {:.1} ms {said}", began.elapsed().as_secs_f64() * 1e3);
    };
    measure("first scan", &mut || format!("read {}", world.scan().read));
    for _ in 0..3 {
        measure("unchanged scan", &mut || format!("read {}", world.scan().read));
    }
    let mut root = Hash::default();
    measure("capture", &mut || {
        root = world.capture();
        String::new()
    });
    measure("capture again", &mut || world.capture().short());
    for number in 0..FILES {
        world.write(&format!("{}/{}/{number}", number % 10, number % 100), "drift");
    }
    measure("repair of all files", &mut || format!("changed {}", world.apply(root).changed));
    measure("scan after it", &mut || format!("read {}", world.scan().read));
    measure("nothing to repair", &mut || format!("changed {}", world.apply(root).changed));
    fs::remove_dir_all(world.files.root()).unwrap();
    measure("all made again", &mut || format!("changed {}", world.apply(root).changed));
    measure("trash listed", &mut || world.files.trash().unwrap().len().to_string());
}
