//! The predecessor's measurements: its unmodified queue agent (Python) with a simulated SD WebUI, on another, shared
//! machine of 2 cores against another emulator of AWS, in a calm round. It was not measured with ComfyUI.

/// What it needed for one kind of task with one latency of AWS.
#[derive(Debug, PartialEq)]
pub(super) struct Predecessor {
    /// What it adds to the duration of each run: the gap between two.
    pub(super) added: &'static str,
    /// The agent's CPU time per task.
    pub(super) cpu: &'static str,
    /// The agent's peak memory.
    pub(super) peak: &'static str,
    /// With runs of 0, 500 and 2000 ms.
    pub(super) paces: [Throughput; 3],
}

/// Its throughput with one duration of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Throughput {
    /// How much of the time the GPU was busy, in percent.
    pub(super) busy: Option<f64>,
    pub(super) tasks_per_second: f64,
}

const fn throughputs(at_0: f64, at_500: (f64, f64), at_2000: (f64, f64)) -> [Throughput; 3] {
    const fn throughput((busy, tasks_per_second): (f64, f64)) -> Throughput {
        Throughput { busy: Some(busy), tasks_per_second }
    }
    [Throughput { busy: None, tasks_per_second: at_0 }, throughput(at_500), throughput(at_2000)]
}

pub(super) const TEXT_TO_IMAGE_512: [Predecessor; 2] = [
    Predecessor {
        added: "56-66 ms",
        cpu: "36-42 ms",
        peak: "82 MB",
        paces: throughputs(13.4, (88.6, 1.76), (97.5, 0.486)),
    },
    Predecessor {
        added: "318-344 ms",
        cpu: "43-47 ms",
        peak: "82 MB",
        paces: throughputs(3.15, (59.6, 1.18), (86.5, 0.430)),
    },
];

pub(super) const TEXT_TO_IMAGE_1024: [Predecessor; 2] = [
    Predecessor {
        added: "102-130 ms",
        cpu: "59-64 ms",
        peak: "96 MB",
        paces: throughputs(9.9, (77.4, 1.54), (95.5, 0.476)),
    },
    Predecessor {
        added: "365-407 ms",
        cpu: "64-78 ms",
        peak: "95 MB",
        paces: throughputs(2.39, (57.6, 1.14), (84.3, 0.419)),
    },
];

pub(super) const IMAGE_TO_IMAGE_512: [Predecessor; 2] = [
    Predecessor {
        added: "300-314 ms",
        cpu: "73-77 ms",
        peak: "89 MB",
        paces: throughputs(3.26, (62.9, 1.24), (85.8, 0.43)),
    },
    Predecessor {
        added: "562-615 ms",
        cpu: "75-92 ms",
        peak: "88 MB",
        paces: throughputs(1.74, (47.3, 0.93), (77.0, 0.38)),
    },
];

pub(super) const IMAGE_TO_IMAGE_1024: [Predecessor; 2] = [
    Predecessor {
        added: "412-462 ms",
        cpu: "113-148 ms",
        peak: "110 MB",
        paces: throughputs(2.42, (51.2, 1.01), (81.6, 0.41)),
    },
    Predecessor {
        added: "656-738 ms",
        cpu: "118-149 ms",
        peak: "110 MB",
        paces: throughputs(1.51, (40.7, 0.80), (75.2, 0.37)),
    },
];
