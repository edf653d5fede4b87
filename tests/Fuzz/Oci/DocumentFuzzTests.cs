using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Slipway.Oci;
using Slipway.Storage;
using Slipway.Storage.Layers;
using Xunit;

namespace Slipway.Tests.Fuzz.Oci;

public sealed class DocumentFuzzTests
{
    private const int Runs = 5000;
    private const string Hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    private static readonly string[] Pieces =
        ["a", "library", "docker.io", "localhost", ":", "/", "@", "sha256:", Hex, ".", "..", "_", "__", "-", "[::1]", "5000", "A", "latest", "\0", "ä", " ", "%2e"];

    [Fact]
    public void A_reference_is_stable_or_refused() =>
        Prop.ForAll(Arb.From(Texts()), text =>
        {
            try
            {
                var reference = Reference.Parse(text);
                return reference == Reference.Parse(reference.ToString()) && reference == Reference.Parse(reference.Familiar)
                    && !reference.Path.Contains("..", StringComparison.Ordinal);
            }
            catch (OciException)
            {
                return true;
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(Runs));

    [Fact]
    public void A_cleaned_path_stays_inside_or_is_refused() =>
        Prop.ForAll(Arb.From(Texts()), text =>
        {
            try
            {
                var path = Encoding.UTF8.GetString(EntryPath.Clean(Encoding.UTF8.GetBytes(text), 64));
                return path.Length == 0 || path.Split('/').All(part => part is not ("" or "." or ".."));
            }
            catch (StorageException error)
            {
                return error.Kind == StorageErrorKind.InvalidParameter;
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(Runs));

    [Fact]
    public void Damaged_documents_are_read_or_refused()
    {
        var manifest = Encoding.UTF8.GetBytes(
            $"{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{{\"digest\":\"sha256:{Hex}\",\"size\":2}},\"layers\":[{{\"digest\":\"sha256:{Hex}\",\"size\":9}}]}}");
        var config = Encoding.UTF8.GetBytes($"{{\"os\":\"linux\",\"config\":{{\"Cmd\":[\"a\"],\"Env\":[\"A=b\"]}},\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"sha256:{Hex}\"]}}}}");
        var damage =
            from offset in Gen.Choose(0, 1000)
            from value in Gen.Choose(0, 255)
            from cut in Gen.Choose(0, 1)
            select (offset, (byte)value, cut == 1);
        Prop.ForAll(Arb.From(damage), change =>
            Survives(() => ImageDocument.Parse(Damage(manifest, change))) && Survives(() => ImageConfig.Parse(Damage(config, change))))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(Runs));
    }

    private static Gen<string> Texts() =>
        from count in Gen.Choose(0, 9)
        from pieces in Gen.ArrayOf(Gen.Elements(Pieces), count)
        select string.Concat(pieces);

    private static byte[] Damage(byte[] document, (int Offset, byte Value, bool Cut) change)
    {
        var damaged = document.ToArray();
        damaged[change.Offset % damaged.Length] = change.Value;
        return change.Cut ? damaged[..(change.Offset % damaged.Length)] : damaged;
    }

    private static bool Survives(Func<object> parse)
    {
        try
        {
            return parse() is not null;
        }
        catch (OciException)
        {
            return true;
        }
    }
}
