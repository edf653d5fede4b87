using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Slipway.Http;

/// <summary>Contexts of requests, for applications that Kestrel runs without a host.</summary>
public static class HostContexts
{
    /// <summary>The context of a request; its connection keeps the object for its next one.</summary>
    public static DefaultHttpContext Rent(IFeatureCollection features)
    {
        if (features is not IHostContextContainer<DefaultHttpContext> container)
        {
            return new DefaultHttpContext(features);
        }

        container.HostContext ??= new DefaultHttpContext();
        container.HostContext.Initialize(features);
        return container.HostContext;
    }
}
