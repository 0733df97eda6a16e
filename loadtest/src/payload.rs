//! The data of the events: of one size, or of a mix of sizes, as business objects in JSON.

use std::fmt::Write;

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Payload {
    /// --bytes each
    Uniform,
    /// 256 B, 1, 4 and 16 KiB: 40, 40, 17 and 3 of 100 events
    Mix,
}

/// Bytes, and how many of 100 events have them: notifications and small changes are most of what
/// business systems send, whole documents the tail. The mean is about 1.7 KiB.
const MIX: [(usize, usize); 4] = [(256, 40), (1_024, 40), (4_096, 17), (16_384, 3)];

/// Steps through the mix, prime to 100, so that no size comes in a row.
const STRIDE: usize = 37;

/// The sizes that there are.
pub(crate) fn sizes(payload: Payload, bytes: usize) -> Vec<usize> {
    match payload {
        Payload::Uniform => vec![bytes],
        Payload::Mix => MIX.iter().map(|(bytes, _)| *bytes).collect(),
    }
}

/// In which order the sizes come, by their place in [`sizes`]; it begins again at the end.
pub(crate) fn order(payload: Payload) -> Vec<usize> {
    match payload {
        Payload::Uniform => vec![0],
        Payload::Mix => {
            let sizes = MIX.iter().enumerate();
            let all: Vec<usize> = sizes
                .flat_map(|(size, (_, times))| std::iter::repeat_n(size, *times))
                .collect();
            let at = (0..all.len()).map(|at| at * STRIDE % all.len());
            at.filter_map(|at| all.get(at).copied()).collect()
        }
    }
}

/// The data of one event after the other; it begins again at the end.
pub(crate) fn cycle(payload: Payload, bytes: usize) -> Vec<String> {
    let data: Vec<String> = sizes(payload, bytes)
        .into_iter()
        .map(|bytes| match payload {
            Payload::Uniform => plain(bytes),
            Payload::Mix => sales_order(bytes),
        })
        .collect();
    let order = order(payload).into_iter();
    order.filter_map(|size| data.get(size).cloned()).collect()
}

/// JSON of exactly so many bytes where nothing but the size counts.
pub(crate) fn plain(bytes: usize) -> String {
    const FRAME: &str = r#"{"payload":""}"#;
    let fill = "x".repeat(bytes.saturating_sub(FRAME.len()));
    format!(r#"{{"payload":"{fill}"}}"#)
}

/// A sales order as a business system sends it, with as many items as fit; exactly so many bytes
/// from about 200 on.
pub(crate) fn sales_order(bytes: usize) -> String {
    const TAIL: &str = r#"],"HeaderText":""}"#;
    let mut text = String::from(
        r#"{"SalesOrder":"7700412","SalesOrderType":"OR","SoldToParty":"17100001","TotalNetAmount":"52750.00","TransactionCurrency":"EUR","CreationDate":"2026-09-14","to_Item":["#,
    );
    for number in 1_u32.. {
        let comma = if number == 1 { "" } else { "," };
        let item = format!(
            r#"{comma}{{"SalesOrderItem":"{}","Material":"TG{:02}","RequestedQuantity":{}.0,"RequestedQuantityUnit":"PC","NetAmount":"{}.50","ProductionPlant":"1010","DeliveryStatus":"{}"}}"#,
            number * 10,
            number * 7 % 100,
            number * 13 % 50 + 1,
            number * 1_057 % 9_000,
            if number.is_multiple_of(3) { "A" } else { "C" },
        );
        if text.len() + item.len() + TAIL.len() > bytes {
            break;
        }
        text.push_str(&item);
    }
    let fill = bytes.saturating_sub(text.len() + TAIL.len());
    let words = "Please deliver to the side entrance before noon. ";
    let fill: String = words.chars().cycle().take(fill).collect();
    // Writing to a String cannot fail.
    write!(text, r#"],"HeaderText":"{fill}"}}"#).ok();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed as the mix is what is sent.
    #[test]
    fn the_mix_has_the_shares_that_are_written_down() {
        let order = order(Payload::Mix);
        assert_eq!(order.len(), 100);
        for (size, (_, times)) in MIX.iter().enumerate() {
            assert_eq!(order.iter().filter(|one| **one == size).count(), *times);
        }
        // Spread out: each quarter has some of the usual sizes, and no size comes in a row of ten.
        for quarter in order.chunks(25) {
            for size in 0..3 {
                assert!(quarter.contains(&size), "{quarter:?}");
            }
        }
    }

    #[test]
    fn data_is_json_of_the_size_that_was_asked_for() {
        for bytes in [256, 1_024, 4_096, 16_384] {
            for text in [sales_order(bytes), plain(bytes)] {
                assert_eq!(text.len(), bytes);
                let json: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert!(json.is_object());
            }
        }
        assert!(sales_order(4_096).contains(r#""SalesOrderItem":"100""#));
    }
}
