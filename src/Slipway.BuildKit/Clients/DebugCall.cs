using Google.Protobuf;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;

namespace Slipway.BuildKit.Clients;

/// <summary>A shell in a step, seen from the client whose terminal it has.</summary>
public sealed class DebugCall : IDisposable
{
    private readonly GrpcCall _call;
    private readonly SemaphoreSlim _gate = new(1);

    internal DebugCall(GrpcCall call, DebugStop stop) => (_call, Stop) = (call, stop);

    /// <summary>Where the build has stopped.</summary>
    public DebugStop Stop { get; }

    /// <summary>Begins the shell.</summary>
    /// <param name="shell">Path of the program.</param>
    public Task StartAsync(string shell, (int Rows, int Columns) size) => SendAsync(new DebugInput { Shell = shell, Rows = (uint)size.Rows, Columns = (uint)size.Columns });

    public Task ResizeAsync((int Rows, int Columns) size) => SendAsync(new DebugInput { Rows = (uint)size.Rows, Columns = (uint)size.Columns });

    /// <summary>What was typed.</summary>
    public Task WriteAsync(ReadOnlyMemory<byte> data) => SendAsync(new DebugInput { Data = ByteString.CopyFrom(data.Span) });

    /// <summary>What is shown next; null when the shell has ended.</summary>
    public async Task<ByteString?> ReadAsync() => (await _call.ReadAsync(DebugOutput.Parser))?.Data;

    public void Dispose() => _gate.Dispose();

    /// <summary>Keys and new sizes come from two sides.</summary>
    private async Task SendAsync(DebugInput input)
    {
        await _gate.WaitAsync(_call.Cancelled);
        try
        {
            await _call.WriteAsync(input);
        }
        finally
        {
            _gate.Release();
        }
    }
}
