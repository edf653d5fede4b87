using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text.Json.Nodes;

namespace Slipway.Tests.Fuzz.Api;

using Slipway.Tests.Harness;

/// <summary>
/// Whatever a client sends, the engine answers, and not with 500 but where Docker does; it neither ends, nor hangs, nor keeps anything. SLIPWAY_FUZZ_SECONDS makes
/// it go on for longer than CI does, SLIPWAY_FUZZ_SEED repeats a run.
/// </summary>
public sealed class ApiFuzzTests : IAsyncLifetime
{
    private const int Clients = 4;

    private readonly Engine _engine = new("fuzz") { Flags = Engine.SparesGoSoon };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static readonly TimeSpan s_duration = TimeSpan.FromSeconds(Number("SLIPWAY_FUZZ_SECONDS") ?? 20);

    private static int? Number(string variable) => int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var number) ? number : null;

    public async ValueTask InitializeAsync()
    {
        await _engine.Start();
        await AlpineImage.Import(_engine.Docker);
        await _engine.Docker.Ok("run", "--rm", "alpine", "true");
    }

    public ValueTask DisposeAsync() => _engine.DisposeAsync();

    [Fact]
    public async Task Any_request_is_answered()
    {
        var docker = _engine.Docker;
        await docker.Ok("run", "-d", "--name", "keeper", "-l", "a=b", "-v", "/data", "-e", "A=1", "-p", "127.0.0.1:0:80", "--health-cmd", "true", "alpine", "sleep", "1000");
        var documents = await Documents();
        await Removed();
        var before = await Footprint.Settled(_engine);
        var pid = _engine.Pid;
        var seed = Number("SLIPWAY_FUZZ_SEED") ?? Random.Shared.Next();
        var sent = 0;
        var good = 0;
        using var client = Client();
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < s_duration;)
        {
            await Kept();
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(async i =>
            {
                var maker = new RequestMaker(new Random(seed + sent + i), documents, ["keeper", "victim", "kept", "alpine", "alpine:latest", "nosuch"]);
                for (var round = 0; round < 50; round++)
                {
                    var request = maker.Next();
                    var status = await Send(client, request, seed + sent + i);
                    Interlocked.Add(ref good, status is >= 200 and < 300 ? 1 : 0);
                }
            }));
            sent += Clients * 50;
            Assert.True(_engine.Pid == pid && Directory.Exists($"/proc/{pid}"), $"seed {seed}: the engine ended");
        }

        // Requests that are refused at the first look prove little.
        Assert.True(good > sent / 50, $"only {good} of {sent} requests were carried out");
        Assert.True(RequestMaker.Routes > 50);
        await Removed();
        var after = await Footprint.Settled(_engine);
        for (var clock = Stopwatch.StartNew(); More(after, before).Length > 0 && clock.Elapsed < Programs.Limit(90); await Task.Delay(500, Cancellation))
        {
            after = await Footprint.Settled(_engine);
        }
        Assert.True(More(after, before).Length == 0, $"seed {seed}: left are {string.Join(", ", More(after, before))}");
        TestContext.Current.SendDiagnosticMessage($"{sent} requests, {good} carried out, seed {seed}");
    }

    /// <summary>What is held besides. It may be less: as many sandboxes are kept ready as were asked for lately.</summary>
    private static string[] More(Footprint after, Footprint before)
    {
        var left = after.Held.ToList();
        foreach (var line in before.Held)
        {
            left.Remove(line);
        }
        return [.. left];
    }

    /// <summary>What many requests are about, should one before have taken it away.</summary>
    private async Task Kept()
    {
        await AlpineImage.Import(_engine.Docker);
        await _engine.Docker.Run("unpause", "keeper");
        if ((await _engine.Docker.Run("start", "keeper")).ExitCode != 0)
        {
            await _engine.Docker.Run("run", "-d", "--name", "keeper", "-v", "kept:/data", "alpine", "sleep", "1000");
        }
        await _engine.Docker.Run("create", "--name", "victim", "alpine", "true");
    }

    private async Task Removed()
    {
        var containers = (await _engine.Docker.Run("ps", "-aq")).Ok().Lines;
        if (containers.Length > 0)
        {
            await _engine.Docker.Ok(["rm", "-f", "-v", .. containers]);
        }
        await _engine.Docker.Ok("volume", "prune", "-af");
    }

    /// <summary>Bodies with all their members, made of what the engine tells of a container.</summary>
    private async Task<Dictionary<string, JsonNode>> Documents()
    {
        var inspected = JsonNode.Parse(await _engine.Docker.Ok("inspect", "keeper"))!.AsArray()[0]!;
        var create = inspected["Config"]!.DeepClone().AsObject();
        create["Cmd"] = new JsonArray("true");
        create["HostConfig"] = inspected["HostConfig"]!.DeepClone();
        create["HostConfig"]!["PortBindings"] = new JsonObject();
        create["HostConfig"]!["Mounts"] = new JsonArray(new JsonObject { ["Type"] = "volume", ["Source"] = "kept", ["Target"] = "/kept", ["VolumeOptions"] = new JsonObject { ["NoCopy"] = true } });
        create["NetworkingConfig"] = JsonNode.Parse("""{"EndpointsConfig":{"bridge":{"MacAddress":"","DriverOpts":null}}}""");
        return new Dictionary<string, JsonNode>
        {
            ["/containers/create"] = create,
            ["/update"] = JsonNode.Parse("""{"Memory":67108864,"MemorySwap":-1,"CpuShares":100,"NanoCpus":0,"PidsLimit":50,"RestartPolicy":{"Name":"no","MaximumRetryCount":0}}""")!,
            ["/exec"] = JsonNode.Parse("""{"AttachStdin":false,"AttachStdout":true,"AttachStderr":true,"DetachKeys":"","Tty":false,"Env":["A=1"],"Cmd":["true"],"Privileged":false,"User":"","WorkingDir":"/"}""")!,
            ["/start"] = JsonNode.Parse("""{"Detach":true,"Tty":false,"ConsoleSize":[24,80]}""")!,
            ["/volumes/create"] = JsonNode.Parse("""{"Name":"kept","Driver":"local","DriverOpts":{},"Labels":{"a":"b"}}""")!,
            ["/commit"] = inspected["Config"]!.DeepClone(),
            ["/networks/create"] = JsonNode.Parse("""{"Name":"net","Driver":"bridge","Internal":false,"IPAM":{"Driver":"default","Config":[{"Subnet":"10.211.9.0/24"}]},"Options":{},"Labels":{}}""")!,
            ["/connect"] = JsonNode.Parse("""{"Container":"keeper","EndpointConfig":{"Aliases":["a"],"IPAMConfig":{"IPv4Address":"10.211.9.9"}}}""")!,
            ["/disconnect"] = JsonNode.Parse("""{"Container":"keeper","Force":true}""")!,
            ["/auth"] = JsonNode.Parse("""{"username":"u","password":"p","serveraddress":"http://localhost:1"}""")!,
        };
    }

    private HttpClient Client() => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellation) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_engine.Docker.Socket), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    { BaseAddress = new Uri("http://engine"), Timeout = Timeout.InfiniteTimeSpan };

    /// <summary>The status. A stream that goes on is left; an answer's head has to come.</summary>
    private static async Task<int> Send(HttpClient client, ApiRequest request, int seed)
    {
        using var message = new HttpRequestMessage(request.Method, request.Path);
        if (request.Body is { } body)
        {
            message.Content = new ByteArrayContent(body);
            message.Content.Headers.TryAddWithoutValidation("Content-Type", request.ContentType);
        }

        // A search and a pull ask the world, which may take its time.
        var patience = Programs.Limit(60);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(patience);
        try
        {
            using var answer = await client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            var status = (int)answer.StatusCode;
            if (status < 500)
            {
                return status;
            }
            var text = await answer.Content.ReadAsStringAsync(limit.Token);
            Assert.True(status is 501 or 503 || IsDockers(request, text), $"seed {seed}: {status} {text} to {request}");
            return status;
        }
        catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
        {
            Assert.Fail($"seed {seed}: no answer within {patience} to {request}");
            return 0;
        }
        catch (HttpRequestException e)
        {
            Assert.Fail($"seed {seed}: {e} to {request}");
            return 0;
        }
    }

    /// <summary>Where Docker answers 500 too: the kernel or a registry refuses, in words that are not a defect's.</summary>
    private static bool IsDockers(ApiRequest request, string text) =>
        !text.Contains("System.", StringComparison.Ordinal) && !text.Contains("xception", StringComparison.Ordinal)
        && (request.Path.Contains("/start", StringComparison.Ordinal) || request.Path.Contains("/images/", StringComparison.Ordinal) || request.Path.Contains("/auth", StringComparison.Ordinal)
            || request.Path.Contains("/distribution/", StringComparison.Ordinal) || request.Path.Contains("/update", StringComparison.Ordinal)
            || text.Contains("pquota", StringComparison.Ordinal) || text.Contains("Unknown option", StringComparison.Ordinal) || text.Contains("device driver", StringComparison.Ordinal));
}
