using System.Diagnostics;
using System.Globalization;
using Slipway.Kernel.Files;
using Slipway.Storage;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>A data root of its own for each test, removed with it.</summary>
public sealed class TemporaryDataRoot : IAsyncDisposable
{
    private readonly UnpackLimits _limits;
    private DataRoot? _root;

    private TemporaryDataRoot(UnpackLimits limits) => _limits = limits;

    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"slipway-storage-{Guid.NewGuid():n}");

    public DataRoot Root => _root ?? throw new InvalidOperationException("not open");

    public static async Task<TemporaryDataRoot> CreateAsync(UnpackLimits? limits = null)
    {
        var temporary = new TemporaryDataRoot(limits ?? new UnpackLimits());
        await temporary.OpenAsync();
        return temporary;
    }

    public Task OpenAsync() => OpenAsync(TimeProvider.System);

    public Task OpenAsync(TimeProvider time) => OpenAsync(options => options with { TimeProvider = time });

    public async Task OpenAsync(Func<DataRootOptions, DataRootOptions> change) =>
        _root = await DataRoot.OpenAsync(change(new DataRootOptions { Path = Path, Limits = _limits }), TestContext.Current.CancellationToken);

    public async Task CloseAsync()
    {
        await Root.DisposeAsync();
        _root = null;
    }

    /// <summary>What is in the store, so that a test can see that nothing was left behind. Directories kept ready for containers to come are not.</summary>
    public string[] Contents() =>
        [.. new[] { "blobs/sha256", "layers", "tmp", "containers" }.SelectMany(directory => Directory.EnumerateFileSystemEntries(System.IO.Path.Combine(Path, directory))).Except(Spares())];

    public string[] Spares() => Directory.GetDirectories(System.IO.Path.Combine(Path, "tmp"), "spare-*");

    /// <summary>The ledger's bytes are what du(1) says, at a moment in which nothing is made ready for containers to come.</summary>
    public async Task LedgerAgreesAsync()
    {
        while (true)
        {
            var before = await DuAsync();
            var ledger = (await Root.Ledger.ReadAsync(TestContext.Current.CancellationToken)).Sum(entry => entry.Bytes);
            if (await DuAsync() == before)
            {
                Assert.Equal(before, ledger);
                return;
            }
        }
    }

    /// <summary>What du(1) says the data root takes, in bytes.</summary>
    private async Task<long> DuAsync()
    {
        using var du = System.Diagnostics.Process.Start(new ProcessStartInfo("du", ["-s", "-B1", Path]) { RedirectStandardOutput = true })!;
        var output = await du.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await du.WaitForExitAsync(TestContext.Current.CancellationToken);
        return long.Parse(output.Split('\t')[0], CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync()
    {
        if (_root is not null)
        {
            await _root.DisposeAsync();
        }

        // Names in it need not be UTF-8.
        using var parent = new HostPath(System.IO.Path.GetDirectoryName(Path)!).Open(OpenFlags.Directory);
        TreeRemoval.Remove(parent, System.IO.Path.GetFileName(Path));
    }
}
