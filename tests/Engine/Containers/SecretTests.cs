using System.Text;
using System.Text.Json;
using Slipway.Api.Containers;
using Slipway.Api.Secrets;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Engine.Secrets;
using Xunit;

namespace Slipway.Tests.Engine.Containers;

/// <summary>Secrets of plain containers: where their values are, and where not.</summary>
public sealed class SecretTests(EngineFixture fixture) : IClassFixture<EngineFixture>
{
    private const string Value = "correct horse battery staple";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IContainers Containers => fixture.Engine.Containers;

    private ISecrets Secrets => fixture.Engine.Secrets;

    [Fact]
    public async Task A_secret_is_a_file_in_memory_with_the_owner_and_mode_that_are_asked_for()
    {
        await CreateAsync("one");
        await CreateAsync("two", "second");
        ContainerCreateRequest request = EngineFixture.Request(
            "sh", "-c", "stat -c '%n %a %u:%g' /run/secrets/one /run/secrets/other /etc/app/two; cat /run/secrets/one /run/secrets/other /etc/app/two; stat -f -c ' %T' /run/secrets; touch /run/secrets/x || echo read-only");
        request.HostConfig!.Secrets =
        [
            new SecretReference { Source = "one" }, new SecretReference { Source = "two", Target = "other", UID = 65534, GID = 50, Mode = 0x100 },
            new SecretReference { Source = "two", Target = "/etc/app/two" },
        ];
        RunResult result = await fixture.RunAsync(request);
        Assert.Equal($"/run/secrets/one 444 0:0\n/run/secrets/other 400 65534:50\n/etc/app/two 444 0:0\n{Value}secondsecond tmpfs\nread-only\n", result.Output);
    }

    [Fact]
    public async Task The_label_is_as_good_as_the_field_but_not_that_of_an_image()
    {
        await CreateAsync("labelled");
        ContainerCreateRequest request = EngineFixture.Request("cat", "/run/secrets/labelled", "/x/y");
        request.Labels = new() { ["slipway.secrets"] = "labelled, labelled:/x/y" };
        Assert.Equal(Value + Value, (await fixture.RunAsync(request)).Output);

        await BusyboxImage.ImportAsync(fixture.Engine, ["LABEL slipway.secrets=labelled"], "greedy", Cancellation);
        request = EngineFixture.Request("cat", "/run/secrets/labelled");
        request.Image = "busybox:greedy";
        Assert.NotEqual(0, (await fixture.RunAsync(request)).ExitCode);
    }

    [Fact]
    public async Task The_value_is_nowhere_on_the_disk_nor_in_anything_the_engine_tells()
    {
        // Not that of the other tests, whose containers print it.
        const string Value = "a value that no container prints";
        await CreateAsync("hidden", Value);
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "cat /run/secrets/hidden > /dev/null; sleep 1000");
        request.HostConfig!.Secrets = [new SecretReference { Source = "hidden" }];
        string id = await fixture.StartedAsync(request);
        List<string> told =
        [
            JsonSerializer.Serialize(fixture.Inspect(id)), JsonSerializer.Serialize(Secrets.Inspect("hidden")), JsonSerializer.Serialize(Secrets.List(Filters.None)), await Containers.ExplainAsync(id, Cancellation),
            string.Join('\n', fixture.Log.Messages),
        ];
        using (MemoryStream export = new())
        {
            await Containers.Export(id)(export, Cancellation);
            told.Add(Encoding.UTF8.GetString(export.ToArray()));
        }

        Assert.All(await Containers.ChangesAsync(id, Cancellation), change => Assert.Contains(change.Path, (string[])["/run", "/run/secrets"]));
        string image = await Containers.CommitAsync(new ContainerCommit(id, "withsecret", null, null, null, true, [], null), Cancellation);
        using (MemoryStream saved = new())
        {
            await (await fixture.Engine.Images.SaveAsync([image], null, Cancellation))(saved, Cancellation);
            told.Add(Encoding.UTF8.GetString(saved.ToArray()));
        }

        Assert.All(told, text => Assert.DoesNotContain(Value, text, StringComparison.Ordinal));
        Assert.All(told, text => Assert.DoesNotContain(Convert.ToBase64String(Encoding.UTF8.GetBytes(Value)), text, StringComparison.Ordinal));
        foreach (string file in Directory.EnumerateFiles(fixture.Options.DataRoot, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint }).Where(file => Path.GetFileName(file) != "lock"))
        {
            Assert.False(Encoding.Latin1.GetString(await File.ReadAllBytesAsync(file, Cancellation)).Contains(Value, StringComparison.Ordinal), file);
        }

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(fixture.Options.SecretsKeyFile));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode($"{fixture.Options.DataRoot}/secrets"));
    }

    [Fact]
    public async Task A_secret_that_is_used_stays_and_restarts_see_it()
    {
        await CreateAsync("kept");
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "cat /run/secrets/kept > /seen; sleep 1000");
        request.HostConfig!.Secrets = [new SecretReference { Source = "kept" }];
        string id = await fixture.StartedAsync(request, "keeper");
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => Secrets.RemoveAsync("kept", Cancellation));
        Assert.Equal((ErrorKind.Conflict, "secret kept is used by container keeper"), (error.Kind, error.Message));

        await fixture.RestartAsync();
        await Containers.RestartAsync(id, 0, null, Cancellation);
        Assert.Equal((0, Value), await fixture.ExecAsync(id, "cat", "/run/secrets/kept"));
        await Containers.RemoveAsync(id, new ContainerRemoveOptions(Force: true), Cancellation);
        await Secrets.RemoveAsync("kept", Cancellation);
        Assert.Equal(ErrorKind.NotFound, Assert.Throws<EngineException>(() => Secrets.Inspect("kept")).Kind);
    }

    [Fact]
    public async Task A_changed_file_and_another_key_are_found_out_at_start()
    {
        string first = await CreateAsync("swapped1");
        string second = await CreateAsync("swapped2", "other");
        ContainerCreateRequest request = EngineFixture.Request("cat", "/run/secrets/swapped1");
        request.HostConfig!.Secrets = [new SecretReference { Source = "swapped1" }];
        string id = await fixture.CreateAsync(request);
        string folder = $"{fixture.Options.DataRoot}/secrets";

        // Somebody who can write there puts the value of one under the name of another.
        string sealedSecond = JsonDocument.Parse(await File.ReadAllTextAsync($"{folder}/{second}", Cancellation)).RootElement.GetProperty("Sealed").GetString()!;
        string original = await File.ReadAllTextAsync($"{folder}/{first}", Cancellation);
        string sealedFirst = JsonDocument.Parse(original).RootElement.GetProperty("Sealed").GetString()!;
        await File.WriteAllTextAsync($"{folder}/{first}", original.Replace(sealedFirst, sealedSecond, StringComparison.Ordinal), Cancellation);
        await fixture.RestartAsync();
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => Containers.StartAsync(id, Cancellation));
        Assert.Contains("secret swapped1 cannot be opened", error.Message, StringComparison.Ordinal);
        Assert.Equal("created", fixture.Inspect(id).State.Status);

        await File.WriteAllTextAsync($"{folder}/{first}", original, Cancellation);
        await fixture.RestartAsync();
        File.SetUnixFileMode(fixture.Options.SecretsKeyFile, (UnixFileMode)0x1a4);
        error = await Assert.ThrowsAsync<EngineException>(() => Containers.StartAsync(id, Cancellation));
        Assert.Contains("its mode must be 0600", error.Message, StringComparison.Ordinal);
        File.SetUnixFileMode(fixture.Options.SecretsKeyFile, (UnixFileMode)0x180);
        await Containers.StartAsync(id, Cancellation);
        Assert.Equal(0, await fixture.WaitAsync(id));
    }

    [Fact]
    public async Task What_cannot_be_meant_is_refused()
    {
        await CreateAsync("taken");
        await RefusedAsync(ErrorKind.Conflict, "secret taken already exists", new SecretSpec { Name = "taken", Data = "eA==" });
        await RefusedAsync(ErrorKind.InvalidParameter, "invalid name", new SecretSpec { Name = "../x", Data = "eA==" });
        await RefusedAsync(ErrorKind.InvalidParameter, "invalid name", new SecretSpec { Name = new string('x', 65), Data = "eA==" });
        await RefusedAsync(ErrorKind.InvalidParameter, "larger than 0", new SecretSpec { Name = "empty", Data = "" });
        await RefusedAsync(ErrorKind.InvalidParameter, "less than 512000", new SecretSpec { Name = "large", Data = Convert.ToBase64String(new byte[512000]) });
        await RefusedAsync(ErrorKind.InvalidParameter, "not base64", new SecretSpec { Name = "garbled", Data = "!" });
        await RefusedAsync(ErrorKind.NotImplemented, "need a swarm", new SecretSpec { Name = "driven", Data = "eA==", Driver = new SecretDriver("vault") });
        foreach ((SecretReference reference, string message) in ((SecretReference, string)[])
            [
                (new SecretReference { Source = "none" }, "secret none not found"), (new SecretReference { Source = "taken", Target = "a/b" }, "invalid target"),
                (new SecretReference { Source = "taken", Target = ".." }, "invalid target"), (new SecretReference { Source = "taken", Target = "/a/../b" }, "invalid target"),
                (new SecretReference { Source = "taken", Mode = 0xfff }, "invalid mode"),
            ])
        {
            ContainerCreateRequest request = EngineFixture.Request("true");
            request.HostConfig!.Secrets = [reference];
            EngineException error = await Assert.ThrowsAsync<EngineException>(() => fixture.CreateAsync(request));
            Assert.Equal(ErrorKind.InvalidParameter, error.Kind);
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
        }

        ContainerCreateRequest twice = EngineFixture.Request("true");
        twice.HostConfig!.Secrets = [new SecretReference { Source = "taken" }];
        twice.HostConfig.Tmpfs = new() { ["/run/secrets"] = "" };
        Assert.Equal("Duplicate mount point: /run/secrets", (await Assert.ThrowsAsync<EngineException>(() => fixture.CreateAsync(twice))).Message);
    }

    [Fact]
    public async Task Labels_are_changed_for_the_version_that_was_seen()
    {
        string id = await CreateAsync("versioned");
        await Secrets.UpdateAsync("versioned", 1, new SecretSpec { Name = "versioned", Labels = new() { ["a"] = "b" } }, Cancellation);
        Assert.Equal((2ul, "b"), (Secrets.Inspect(id[..12]).Version.Index, Secrets.Inspect(id).Spec.Labels!["a"]));
        Assert.Equal("update out of sequence", (await Assert.ThrowsAsync<EngineException>(() => Secrets.UpdateAsync(id, 1, new SecretSpec(), Cancellation))).Message);
        Assert.Equal("only updates to Labels are allowed", (await Assert.ThrowsAsync<EngineException>(() => Secrets.UpdateAsync(id, 2, new SecretSpec { Data = "eA==" }, Cancellation))).Message);
        Assert.Equal(["versioned"], Secrets.List(new Filters(new Dictionary<string, IReadOnlyList<string>> { ["label"] = ["a=b"] })).Select(secret => secret.Spec.Name));
    }

    private Task<string> CreateAsync(string name, string value = Value) =>
        Secrets.CreateAsync(new SecretSpec { Name = name, Data = Convert.ToBase64String(Encoding.UTF8.GetBytes(value)) }, Cancellation);

    private async Task RefusedAsync(ErrorKind kind, string message, SecretSpec spec)
    {
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => Secrets.CreateAsync(spec, Cancellation));
        Assert.Equal(kind, error.Kind);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }
}
