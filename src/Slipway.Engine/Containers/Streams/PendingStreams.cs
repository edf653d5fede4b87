using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Containers.Streams;

/// <summary>The supervisor's ends of the streams of clients that attached to a container before it runs.</summary>
internal sealed class PendingStreams
{
    private readonly Lock _gate = new();
    private List<Attachment>? _attachments;

    public void Add(Attachment attachment)
    {
        lock (_gate)
        {
            (_attachments ??= []).Add(attachment);
        }
    }

    /// <summary>Gives up one whose client went away; false where it was already handed over.</summary>
    public bool Drop(Attachment attachment)
    {
        lock (_gate)
        {
            if (_attachments?.Remove(attachment) != true)
            {
                return false;
            }
        }

        attachment.Socket.Dispose();
        return true;
    }

    /// <summary>All of them, for the launch, which consumes them.</summary>
    public IReadOnlyList<Attachment> Take()
    {
        lock (_gate)
        {
            List<Attachment>? taken = _attachments;
            _attachments = null;
            return taken ?? [];
        }
    }

    /// <summary>Ends the streams of all clients: the container will not run.</summary>
    public void Close()
    {
        foreach (Attachment attachment in Take())
        {
            attachment.Socket.Dispose();
        }
    }
}
