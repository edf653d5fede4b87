namespace Slipway.Server.Transport;

/// <summary>How a direction of a connection is given back to its loop.</summary>
internal enum LoanEnd
{
    /// <summary>The message was read or written to its end: the connection goes on.</summary>
    Whole,

    /// <summary>The message was not read to its end: the rest is thrown away until the connection ends.</summary>
    Abandoned,
}

/// <summary>One direction of a connection in the hands of a thread that reads or writes the socket itself; the connection's loop waits meanwhile.</summary>
internal sealed class SocketLoan
{
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<(LoanEnd End, ReadOnlyMemory<byte> Left)> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The loop has stopped, or is over.</summary>
    public Task Begun => _begun.Task;

    public Task<(LoanEnd End, ReadOnlyMemory<byte> Left)> Ended => _ended.Task;

    public void Begin() => _begun.TrySetResult();

    /// <param name="rest">For the HTTP server, before anything that is received later.</param>
    public void Return(LoanEnd end, ReadOnlyMemory<byte> rest) => _ended.TrySetResult((end, rest));
}
