using System.Text;
using Slipway.Oci;
using Slipway.Registry.Server;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Server;

public sealed class ManifestCacheTests
{
    private static RepositoryName Name { get; } = RepositoryName.TryParse("app", out RepositoryName name) ? name : default;

    private static ManifestEntry Entry(string text) => new(Digest.Of(Encoding.UTF8.GetBytes(text)), Encoding.UTF8.GetBytes(text), MediaTypes.OciManifest);

    [Fact]
    public void What_was_added_is_found_until_it_is_removed()
    {
        ManifestCache cache = new(1 << 20);
        ManifestEntry entry = cache.Add(Name, "latest", Entry("x"), cache.Stamp(Name));
        Assert.Same(entry, cache.Find(Name, "latest"));
        cache.Remove(Name, "latest");
        Assert.Null(cache.Find(Name, "latest"));
    }

    /// <summary>A tag is read from the disk, moved by somebody else, and only then added: the old manifest must not stay.</summary>
    [Fact]
    public void What_was_read_before_a_change_is_not_kept_after_it()
    {
        ManifestCache cache = new(1 << 20);
        long stamp = cache.Stamp(Name);
        cache.Remove(Name, "latest");
        cache.Add(Name, "latest", Entry("old"), stamp);
        Assert.Null(cache.Find(Name, "latest"));
    }

    [Fact]
    public void Memory_is_bounded_and_what_is_used_stays()
    {
        ManifestCache cache = new(100_000);
        cache.Add(Name, "used", Entry("used"), cache.Stamp(Name));
        int found = 0;
        for (int i = 0; i < 1000; i++)
        {
            cache.Add(Name, $"t{i}", Entry(new string('x', 500) + i), cache.Stamp(Name));
            found += cache.Find(Name, "used") is not null ? 1 : 0;
        }

        Assert.Equal(1000, found);
        Assert.InRange(Enumerable.Range(0, 1000).Count(i => cache.Find(Name, $"t{i}") is not null), 1, 200);
    }
}
