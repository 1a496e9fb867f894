//! The rest of a body that needs no framing: each read is written onward as it is, and none takes more than the
//! body has left, so nothing of the next message is in it.
//!
//! Two roads. What comes in large pieces is spliced; what trickles, and what cannot be spliced, goes through a
//! buffer. The size of the last piece chooses.

use super::{
    body::{Broken, Output, State, count, ended},
    splice::{self, Stuck, Taken},
};
use crate::{
    clock::millis,
    http1::BodyDecoder,
    net::{Buffer, LARGE, PIPE, Reader, SMALL, Writer},
};

/// Bodies with less than this to come are not spliced: their few reads are no dearer, and need no descriptors.
const SPLICE_FROM: u64 = 32 * 1024;

/// Which road the next piece takes.
enum Next {
    Splice,
    Read,
    Done,
}

impl State<'_, '_> {
    /// The decoder is at plain content, nothing is buffered, and the output is [`Output::Raw`].
    pub(super) async fn pass(
        &mut self,
        from: &mut Reader<'_>,
        decoder: &mut BodyDecoder,
        to: &mut Writer<'_>,
    ) -> Result<(), Broken> {
        debug_assert_eq!(self.transfer.output, Output::Raw);
        let buffers = &self.transfer.net.buffers;
        let mut buffer = self.outgoing.take();
        let mut may_splice = true;
        let mut next = Next::Splice;
        loop {
            let worth = decoder.remaining().is_none_or(|left| left >= SPLICE_FROM);
            next = match next {
                Next::Done => return Ok(()),
                Next::Splice if may_splice && worth => {
                    buffer.take().into_iter().for_each(|unused| buffers.give(unused));
                    self.splice(from, decoder, to, &mut may_splice).await?
                }
                Next::Splice | Next::Read => self.copy(from, decoder, to, &mut buffer).await?,
            };
        }
    }

    /// Splices until the body is complete or it does not pay.
    async fn splice(
        &mut self,
        from: &mut Reader<'_>,
        decoder: &mut BodyDecoder,
        to: &mut Writer<'_>,
        may_splice: &mut bool,
    ) -> Result<Next, Broken> {
        let transfer = self.transfer;
        let net = transfer.net;
        let mut full = false;
        loop {
            from.deadline
                .set_read(net.clock.now() + millis(transfer.source_idle));
            let taken = splice::take(net, from, to, left(decoder), full).await;
            from.deadline.clear_read();
            net.clock.refresh();
            let mut pipe = match taken {
                Taken::Pipe(pipe) => pipe,
                Taken::Read => return Ok(Next::Read),
                Taken::Never => {
                    *may_splice = false;
                    return Ok(Next::Read);
                }
                Taken::Failed => return ended(from, false, decoder).map(|()| Next::Done),
            };
            let length = pipe.held();
            count(transfer, length)?;
            decoder.pass(length as u64);
            match splice::put(net, &mut pipe, to, millis(transfer.sink_idle)).await {
                Ok(written) => {
                    self.written += written;
                    self.since_pause += written;
                }
                Err(Stuck { written }) => {
                    return Err(Broken::Sink {
                        written: self.written + written,
                        timed_out: to.deadline.expired(),
                    });
                }
            }
            if decoder.is_complete() {
                return Ok(Next::Done);
            }
            full = length == PIPE;
            if length < splice::WORTH {
                return Ok(Next::Read);
            }
            self.breathe().await;
        }
    }

    /// One read, and all of it written.
    async fn copy(
        &mut self,
        from: &mut Reader<'_>,
        decoder: &mut BodyDecoder,
        to: &mut Writer<'_>,
        buffer: &mut Option<Buffer>,
    ) -> Result<Next, Broken> {
        let transfer = self.transfer;
        let net = transfer.net;
        let mut room = match buffer.take_if(|buffer| buffer.capacity() >= SMALL) {
            Some(room) => room,
            None if self.full_read => net.buffers.large(),
            None => net.buffers.small(),
        };
        room.limit_read(left(decoder));
        from.deadline
            .set_read(net.clock.now() + millis(transfer.source_idle));
        let (result, room) = from.read_into(room, &net.buffers).await;
        from.deadline.clear_read();
        net.clock.refresh();
        let length = match result {
            Ok(length) if length > 0 => length,
            _ => {
                net.buffers.give(room);
                return ended(from, result.is_ok(), decoder).map(|()| Next::Done);
            }
        };
        count(transfer, length)?;
        decoder.pass(length as u64);
        self.full_read = room.spare_len() == 0;
        self.outgoing = Some(room);
        self.flush(to).await?;
        if decoder.is_complete() {
            return Ok(Next::Done);
        }
        self.breathe().await;
        *buffer = self.outgoing.take();
        if !self.full_read {
            return Ok(Next::Read);
        }
        if let Some(small) = buffer.take_if(|buffer| buffer.capacity() < LARGE) {
            net.buffers.give(small);
        }
        Ok(Next::Splice)
    }
}

fn left(decoder: &BodyDecoder) -> usize {
    decoder
        .remaining()
        .map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX))
}
