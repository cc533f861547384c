package org.fhirfacade.hapi;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import jakarta.persistence.EntityManagerFactory;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;
import org.hibernate.jpa.boot.spi.IntegratorProvider;
import org.hibernate.jpa.boot.spi.JpaSettings;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.autoconfigure.jdbc.DataSourceProperties;
import org.springframework.boot.autoconfigure.orm.jpa.JpaProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/** JPA over H2 or PostgreSQL. The bean names are those that HAPI's repositories look for. */
@Configuration
public class DatabaseConfig {

  @Bean
  @Primary
  public LocalContainerEntityManagerFactoryBean entityManagerFactory(
      JpaProperties jpa,
      DataSourceProperties source,
      DataSource dataSource,
      ConfigurableListableBeanFactory beans,
      FhirContext fhir,
      JpaStorageSettings storage) {
    WideColumns.forgetLostTags(dataSource);
    Map<String, Object> properties = new HashMap<>(jpa.getProperties());
    properties.put("hibernate.dialect", NumberIndex.dialect(source.determineUrl()).getName());
    properties.put(JpaSettings.INTEGRATOR_PROVIDER, (IntegratorProvider) () -> List.of(new WideColumns()));
    LocalContainerEntityManagerFactoryBean factory =
        HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, storage);
    factory.setPersistenceUnitName("HAPI_PU");
    factory.setJpaPropertyMap(properties);
    factory.setDataSource(dataSource);
    return factory;
  }

  @Bean
  @Primary
  public JpaTransactionManager transactionManager(EntityManagerFactory factory) {
    return new JpaTransactionManager(factory);
  }
}
