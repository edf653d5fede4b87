using Google.Protobuf;
using Slipway.BuildKit.Protocol;
using Slipway.BuildKit.Sessions;
using Slipway.Engine.Builds;
using Slipway.Grpc;

namespace Slipway.Server.BuildKit;

/// <summary>The terminal that a client offers for shells in steps.</summary>
internal sealed class SessionDebugger(ClientSession session, IReadOnlyList<string> breakpoints) : IBuildDebugger
{
    private const string StandardShell = "/bin/sh";

    public IReadOnlyList<string> Breakpoints => breakpoints;

    public async Task<IDebugTerminal> OpenAsync(DebugPlace place, CancellationToken cancellationToken)
    {
        try
        {
            GrpcStream<DebugInput> call = await session.OpenDebugAsync(cancellationToken);
            try
            {
                await call.WriteAsync(new DebugOutput { Stop = new DebugStop { Id = place.Id, Step = place.Step, File = place.File, Line = place.Line, Error = place.Error ?? "" } });
                DebugInput first = await call.ReadAsync() ?? throw new IOException("the client takes no shell");
                return new Terminal(call, first.Shell.Length > 0 ? first.Shell : StandardShell, SizeOf(first) ?? default);
            }
            catch
            {
                await call.DisposeAsync();
                throw;
            }
        }
        catch (GrpcException error)
        {
            throw new IOException(error.Message, error);
        }
    }

    /// <summary>A kernel's window has 16 bits for either.</summary>
    private static (ushort Rows, ushort Columns)? SizeOf(DebugInput input) =>
        input is { Rows: > 0 and <= ushort.MaxValue, Columns: > 0 and <= ushort.MaxValue } ? ((ushort)input.Rows, (ushort)input.Columns) : null;

    private sealed class Terminal(GrpcStream<DebugInput> call, string shell, (ushort Rows, ushort Columns) size) : IDebugTerminal
    {
        private Task<DebugInput?>? _reading;

        public string Shell => shell;

        public (ushort Rows, ushort Columns) Size => size;

        public async Task<TypedInput?> ReadAsync(CancellationToken cancellationToken)
        {
            try
            {
                // Who stops to wait leaves the read to the next.
                DebugInput? input = await (_reading ??= call.ReadAsync()).WaitAsync(cancellationToken);
                _reading = null;
                return input is null ? null : new TypedInput(input.Data.Memory, SizeOf(input));
            }
            catch (GrpcException error)
            {
                throw new IOException(error.Message, error);
            }
        }

        public async Task WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
        {
            try
            {
                await call.WriteAsync(new DebugOutput { Data = ByteString.CopyFrom(data.Span) }).WaitAsync(cancellationToken);
            }
            catch (GrpcException error)
            {
                throw new IOException(error.Message, error);
            }
        }

        /// <summary>The client takes the end of the messages for the end of the shell, and then ends the call itself.</summary>
        public async ValueTask DisposeAsync()
        {
            try
            {
                await call.CompleteAsync();
                while (await ReadAsync(CancellationToken.None) is not null)
                {
                }
            }
            catch (Exception gone) when (gone is IOException or OperationCanceledException)
            {
                // The client has gone, or the build has ended.
            }

            await call.DisposeAsync();
        }
    }
}
