using System.IO.Pipelines;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;

namespace Slipway.Grpc;

/// <summary>Methods that are served, by their paths.</summary>
public sealed class GrpcService
{
    private readonly Dictionary<string, Func<GrpcCall, Task>> _methods = new(StringComparer.Ordinal);

    /// <summary>One message in, one out.</summary>
    public GrpcService Unary<TRequest, TResponse>(string path, MessageParser<TRequest> parser, Func<TRequest, GrpcCall, Task<TResponse>> method)
        where TRequest : class, IMessage<TRequest>
        where TResponse : IMessage
    {
        _methods.Add(path, async call =>
        {
            TRequest request = await call.ReadOnlyAsync(parser);
            await call.WriteAsync(await method(request, call));
        });
        return this;
    }

    /// <summary>One message in; the method writes as many as it likes.</summary>
    public GrpcService ServerStreaming<TRequest>(string path, MessageParser<TRequest> parser, Func<TRequest, GrpcCall, Task> method)
        where TRequest : class, IMessage<TRequest>
    {
        _methods.Add(path, async call => await method(await call.ReadOnlyAsync(parser), call));
        return this;
    }

    /// <summary>Messages both ways.</summary>
    public GrpcService Duplex(string path, Func<GrpcCall, Task> method)
    {
        _methods.Add(path, method);
        return this;
    }

    internal Func<GrpcCall, Task>? Find(string path) => _methods.GetValueOrDefault(path);
}

/// <summary>A call that is being served.</summary>
public sealed class GrpcCall
{
    private readonly HttpContext _http;

    internal GrpcCall(HttpContext http, int limit, CancellationToken cancelled)
    {
        _http = http;
        Limit = limit;
        Cancelled = cancelled;
    }

    /// <summary>The client gave up, its time ran out, or the connection is gone.</summary>
    public CancellationToken Cancelled { get; }

    /// <summary>The longest message that is taken, in bytes.</summary>
    public int Limit { get; }

    private PipeReader Input => _http.Request.BodyReader;

    /// <summary>What the client said in a header; empty where it did not.</summary>
    public string Metadata(string name) => _http.Request.Headers[name].ToString();

    /// <summary>All values of a header that may stand there more than once.</summary>
    public IReadOnlyList<string> MetadataValues(string name) => [.. _http.Request.Headers[name].OfType<string>()];

    /// <summary>What the connection carries for all its calls.</summary>
    public T? Connection<T>() where T : class => _http.Features.Get<T>();

    /// <summary>Says something ahead of the first message, and sends it at once.</summary>
    public async Task StartAsync(params IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        foreach ((string name, string value) in headers)
        {
            _http.Response.Headers[name] = value;
        }

        await _http.Response.StartAsync(Cancelled);
        await _http.Response.BodyWriter.FlushAsync(Cancelled);
    }

    /// <summary>The client's next message; null when it sends no more.</summary>
    public ValueTask<T?> ReadAsync<T>(MessageParser<T> parser) where T : class, IMessage<T> => MessageFrames.ReadAsync(Input, parser, Limit, Cancelled);

    /// <summary>Sends a message; not to be called from two sides at once.</summary>
    public async Task WriteAsync(IMessage message)
    {
        MessageFrames.Write(_http.Response.BodyWriter, message);
        await _http.Response.BodyWriter.FlushAsync(Cancelled);
    }

    internal async Task<T> ReadOnlyAsync<T>(MessageParser<T> parser) where T : class, IMessage<T> =>
        await ReadAsync(parser) ?? throw new GrpcException(GrpcStatusCode.Internal, "the request has no message");
}
