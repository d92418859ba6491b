//! Pictures of the page in `target/page`, to be looked at; and what can be judged of its look by
//! numbers: nothing sticks out, and every text stands out from what is behind it.

use std::path::{Path, PathBuf};

use crate::support::{Load, Ringmaster, Signal};

use super::browser::{Browser, Screen};

/// A phone's width, and as high as the page is.
const PHONE: Screen = Screen {
    width: 390,
    height: 0,
    dark: false,
};

/// Texts below this ratio to their background are hard to read (WCAG 2.2, 1.4.3).
const CONTRAST: f64 = 4.5;

fn keep(name: &str, png: &[u8]) {
    let folder = folder();
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(format!("{name}.png"));
    std::fs::write(&path, png).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    assert!(
        png.starts_with(b"\x89PNG") && png.len() > 20_000,
        "{name}: {} bytes",
        png.len()
    );
}

fn folder() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target.expect("the target folder").join("page")
}

/// Texts whose contrast to what is behind them is too low, and elements that are wider than the
/// window.
const FAULTS: &str = "(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const part = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = rgb(getComputedStyle(element).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const faults = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const element = node.parentElement;
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    if (!node.textContent.trim() || box.width < 2 || style.visibility === 'hidden' || element.closest(':disabled, option, svg, script, noscript')) continue;
    const [a, b] = [light(rgb(style.color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < CONTRAST) faults.push(`${node.textContent.trim()}: contrast ${ratio.toFixed(2)}`);
    if (box.right > innerWidth + 1 && !element.closest('.scroll')) faults.push(`${node.textContent.trim()}: sticks out`);
  }
  const table = document.querySelector('.replicas .scroll');
  if (table.scrollWidth > table.clientWidth) faults.push(`the table is ${table.scrollWidth - table.clientWidth} wider than its card`);
  if (document.documentElement.scrollWidth > innerWidth) faults.push('the page is wider than the window');
  return faults;
})()";

/// Empty stretches between the cards, above the ends of the columns: the height of each, and its
/// place. The page is looked at along the sides of each card.
const HOLES: &str = "(() => {
  const boxes = [...document.querySelectorAll('main > *')].map((card) => card.getBoundingClientRect());
  const end = Math.max(...boxes.map((box) => box.bottom));
  const holes = [];
  for (const x of boxes.flatMap((box) => [box.left + 1, box.right - 1])) {
    const met = boxes.filter((box) => box.left <= x && x <= box.right).sort((a, b) => a.top - b.top);
    met.forEach((box, at) => {
      const gap = (met[at + 1]?.top ?? end) - box.bottom;
      if (gap > LARGEST) holes.push(`${Math.round(gap)} px at ${Math.round(x)}, ${Math.round(box.bottom)}`);
    });
  }
  return holes;
})()";

/// Largest distance between two cards, in CSS pixels.
const LARGEST_GAP: u32 = 20;

#[track_caller]
fn expect_no_hole(browser: &Browser, what: &str) {
    let holes = browser.eval(&HOLES.replace("LARGEST", &LARGEST_GAP.to_string()));
    assert_eq!(holes.as_array().map(Vec::len), Some(0), "{what}: {holes}");
}

/// Lower edge of an element, in CSS pixels from the top of the window.
#[track_caller]
fn bottom(browser: &Browser, selector: &str) -> f64 {
    let edge = format!("document.querySelector({selector:?}).getBoundingClientRect().bottom");
    browser.eval(&edge).as_f64().expect("a number")
}

#[track_caller]
fn expect_readable(browser: &Browser, what: &str) {
    let faults = browser.eval(&FAULTS.replace("CONTRAST", &CONTRAST.to_string()));
    assert_eq!(faults.as_array().map(Vec::len), Some(0), "{what}: {faults}");
}

#[test]
fn the_page_looks_right_in_light_and_dark_and_on_a_phone() {
    let program = Ringmaster::start(&["--replicas", "3"]);
    let browser = Browser::at(&program);
    let load = Load::start(program.listen, 4);
    program.strike(&["S2"], Signal::KILL);
    program.event("replaced", 2);
    browser.until(
        "a line of ten seconds",
        "document.querySelector('.plot .line').getAttribute('d').split('L').length > 10",
    );
    for dark in [false, true] {
        let theme = if dark { "dark" } else { "light" };
        keep(
            theme,
            &browser.picture(Screen {
                dark,
                ..Screen::WIDE
            }),
        );
        expect_readable(&browser, theme);
        keep(
            &format!("phone-{theme}"),
            &browser.picture(Screen { dark, ..PHONE }),
        );
        expect_readable(&browser, &format!("phone, {theme}"));
    }
    for width in [320, 700, 900, 1060, 1160, 1280, 1440, 1920] {
        browser.see(Screen {
            width,
            ..Screen::WIDE
        });
        expect_readable(&browser, &format!("{width} wide"));
    }
    for (width, height, last_seen) in [
        (1400, 900, ".replicas"),
        (1440, 900, ".replicas"),
        (1920, 1080, ".events"),
        (1200, 900, ".replicas"),
        (1000, 900, "#rows tr:nth-child(3)"),
        (390, 844, "#rows tr:nth-child(2)"),
    ] {
        for dark in [false, true] {
            let theme = if dark { "-dark" } else { "" };
            let screen = Screen {
                width,
                height,
                dark,
            };
            keep(
                &format!("{width}x{height}{theme}"),
                &browser.picture(screen),
            );
        }
        let what = format!("{width} by {height}");
        expect_no_hole(&browser, &what);
        let edge = bottom(&browser, last_seen);
        assert!(edge <= height.into(), "{what}: {last_seen} ends at {edge}");
    }
    browser.see(Screen::WIDE);
    browser.until(
        "an address of one line, with the path beside the pointer",
        "document.querySelector('#rows .address').textContent.startsWith('unix:…/1.sock') \
         && /^unix:\\/.+\\/1.sock$/.test(document.querySelector('#rows .name').title)",
    );
    program.command("drain S1");
    browser.until("it is drained", "document.title.startsWith('2/3')");
    browser.click("#rows tr:nth-child(3) button[data-order=replace]");
    browser.until("a plan", "!document.getElementById('plan').hidden");
    keep(
        "replace",
        &browser.picture(Screen {
            height: 0,
            ..Screen::WIDE
        }),
    );
    expect_readable(&browser, "replace");
    browser.click("input[value=add]");
    browser.fill("#key", "132574");
    browser.press("\u{e007}");
    browser.until("the mark", "document.querySelector('#ring .pin') !== null");
    browser.click("#preview");
    browser.until("a plan", "!document.getElementById('plan').hidden");
    for (name, width, dark) in [
        ("plan", 1440, false),
        ("plan-narrow", 1000, true),
        ("plan-phone", 390, true),
    ] {
        keep(
            name,
            &browser.picture(Screen {
                width,
                height: 0,
                dark,
            }),
        );
        expect_readable(&browser, name);
    }
    assert_eq!(load.finish().failures, [""; 0]);
    program.kill();
    browser.until(
        "the word",
        "!document.getElementById('connection-lost').hidden",
    );
    for dark in [false, true] {
        let name = if dark { "lost-dark" } else { "lost" };
        keep(
            name,
            &browser.picture(Screen {
                dark,
                ..Screen::WIDE
            }),
        );
        assert!(!browser.text("#connection-lost").is_empty());
    }
}

#[test]
fn many_replicas_and_none_look_right_too() {
    let program = Ringmaster::start(&["--replicas", "24", "--ring", "classic"]);
    let browser = Browser::at(&program);
    browser.until(
        "the rows",
        "document.querySelectorAll('#rows tr').length === 24",
    );
    browser.until(
        "the arcs",
        "document.querySelectorAll('#ring .band path').length > 12",
    );
    keep("many", &browser.picture(Screen::WIDE));
    expect_readable(&browser, "many");
    program.command("rm 24");
    browser.until("no rows", "!document.getElementById('no-rows').hidden");
    keep("none", &browser.picture(Screen::WIDE));
    expect_readable(&browser, "none");
}
