// record.mts FILE SNAPSHOT: makes a configuration use a snapshot. A rate at which EBS fetches the blocks is added unless there is
// one: without it they come from S3 as they are read, which can take longer than pulling the images.

import { readFileSync, writeFileSync } from "node:fs";

import { has, put } from "../../cdk/lib/config/edit.ts";

/** The highest rate that EBS accepts. */
const MOST_MIB_PER_SECOND = "300";

const [file = "", snapshot = ""] = process.argv.slice(2);
const text = readFileSync(file, "utf8");
const recorded = put(put(text, "imageCache", "mode", "snapshot"), "imageCache", "snapshot", snapshot);
const hasRate = has(text, "imageCache", "initializationRate");
writeFileSync(file, hasRate ? recorded : put(recorded, "imageCache", "initializationRate", MOST_MIB_PER_SECOND));
