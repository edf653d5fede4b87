using Slipway.Runtime.Supervision.Protocol;

namespace Slipway.Runtime.Supervision;

/// <summary>The streams of processes that run.</summary>
public sealed partial class SupervisorClient
{
    /// <inheritdoc/>
    public async Task<bool> AttachAsync(string id, Attachment attachment, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(attachment);
        Task<Reply> call;
        using (attachment.Socket)
        {
            call = Call(
                MessageKind.Attach,
                (ref MessageWriter message) =>
                {
                    message.Text(id);
                    message.Byte((byte)Flags(attachment));
                },
                [attachment.Socket]);
        }

        return Done(await call.WaitAsync(cancellationToken).ConfigureAwait(false));
    }

    /// <inheritdoc/>
    public async Task<bool> ReleaseAsync(string id, bool discard, CancellationToken cancellationToken) => Done(await CallAsync(
        MessageKind.Release,
        (ref MessageWriter message) =>
        {
            message.Text(id);
            message.Byte(discard ? (byte)1 : (byte)0);
        },
        [],
        cancellationToken).ConfigureAwait(false));

    /// <inheritdoc/>
    public async Task<bool> ResizeAsync(string id, TerminalSize size, CancellationToken cancellationToken) => Done(await CallAsync(
        MessageKind.Resize,
        (ref MessageWriter message) =>
        {
            message.Text(id);
            message.UInt16(size.Rows);
            message.UInt16(size.Columns);
        },
        [],
        cancellationToken).ConfigureAwait(false));

    private static AttachmentFlags Flags(Attachment attachment) =>
        (attachment.Stdin ? AttachmentFlags.Stdin : 0) | (attachment.Stdout ? AttachmentFlags.Stdout : 0) | (attachment.Stderr ? AttachmentFlags.Stderr : 0);
}
