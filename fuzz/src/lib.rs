#![doc = include_str!("../README.md")]

mod front_door;
mod image_header;
mod message;
mod websocket_frames;

pub use front_door::front_door;
pub use image_header::image_header;
pub use message::message;
pub use websocket_frames::websocket_frames;
