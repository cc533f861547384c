package org.fhirfacade.hapi;

import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.interceptor.UserRequestRetryVersionConflictsInterceptor;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.ValueSetOperationProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.narrative2.NullNarrativeGenerator;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.ApacheProxyAddressStrategy;
import ca.uhn.fhir.rest.server.HardcodedServerAddressStrategy;
import ca.uhn.fhir.rest.server.IServerAddressStrategy;
import ca.uhn.fhir.rest.server.IncomingRequestAddressStrategy;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import org.springframework.beans.factory.config.AutowireCapableBeanFactory;
import org.springframework.boot.web.servlet.ServletRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The FHIR servlet under /fhir. */
@Configuration
public class RestConfig {

  private final Settings settings;

  public RestConfig(Settings settings) {
    this.settings = settings;
  }

  @Bean
  public RestfulServer restfulServer(
      IFhirSystemDao<?, ?> system,
      IJpaSystemProvider systemProvider,
      ResourceProviderFactory resourceProviders,
      JpaStorageSettings storage,
      ISearchParamRegistry searchParams,
      IValidationSupport validation,
      DatabaseBackedPagingProvider paging,
      BulkDataExportProvider export,
      ValueSetOperationProvider valueSets,
      Referrers referrers) {
    RestfulServer server = new RestfulServer(system.getContext());
    system.getContext().setNarrativeGenerator(new NullNarrativeGenerator());
    // a reference to one version of a resource stays one: HAPI takes the version off otherwise
    system.getContext().getParserOptions().setStripVersionsFromReferences(false);
    // what a stored Bundle holds gets no id that it did not have
    system.getContext().getParserOptions().setOverrideResourceIdWithBundleEntryFullUrl(false);
    server.registerProviders(resourceProviders.createProviders());
    server.registerProvider(systemProvider);
    server.registerProvider(valueSets);
    server.registerProvider(referrers);
    if (settings.on("bulk_export_enabled", false)) {
      server.registerProvider(export);
    }
    JpaCapabilityStatementProvider capability =
        new JpaCapabilityStatementProvider(server, system, storage, searchParams, validation);
    // key of this server: a test starts it with a random text and knows by /metadata that it met the real one
    capability.setImplementationDescription(settings.text("implementation_description", "HAPI FHIR R4 Server"));
    server.setServerConformanceProvider(capability);
    server.setPagingProvider(paging);
    server.setDefaultResponseEncoding(settings.get("default_encoding", EncodingEnum.class, EncodingEnum.JSON));
    server.setDefaultPrettyPrint(settings.on("default_pretty_print", true));
    server.setServerAddressStrategy(address());
    if (settings.on("userRequestRetryVersionConflictsInterceptorEnabled", false)) {
      server.registerInterceptor(new UserRequestRetryVersionConflictsInterceptor());
    }
    return server;
  }

  private IServerAddressStrategy address() {
    String fixed = settings.text("server_address", "");
    if (!fixed.isBlank()) {
      return new HardcodedServerAddressStrategy(fixed);
    }
    if (!settings.on("use_apache_address_strategy", false)) {
      return new IncomingRequestAddressStrategy();
    }
    return settings.on("use_apache_address_strategy_https", false)
        ? ApacheProxyAddressStrategy.forHttps()
        : ApacheProxyAddressStrategy.forHttp();
  }

  @Bean
  public ServletRegistrationBean<RestfulServer> fhirServlet(
      RestfulServer server, AutowireCapableBeanFactory beans) {
    beans.autowireBean(server);
    ServletRegistrationBean<RestfulServer> bean = new ServletRegistrationBean<>(server, "/fhir/*");
    bean.setLoadOnStartup(1);
    return bean;
  }
}
