//! Killing a program in the middle of a change.

use crate::file::Step;

pub(crate) fn reached(_: Step) {}
